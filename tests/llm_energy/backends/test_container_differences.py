"""A container that runs already is compared with its description."""

import copy

import pytest
from tests.llm_energy.backends.test_compose_service import IMAGE, LIMITS, made

from llm_energy.backends.container_differences import differences

OF_IMAGE = {"Config": {"Env": ["PATH=/usr/bin", "LANG=C"]}}


def inspected(options):
    """Return what an engine shows of a container with these options."""
    variables = {"PATH": "/usr/bin", "LANG": "C", "HOSTNAME": "a1", **options["environment"]}
    return {
        "Image": IMAGE,
        "Config": {
            "Entrypoint": options["entrypoint"],
            "Cmd": options["command"],
            "User": options["user"],
            "Env": [f"{name}={value}" for name, value in variables.items()],
        },
        "HostConfig": {
            "Memory": 8 * 2**30,
            "NanoCpus": 1_500_000_000,
            "CpusetCpus": "0,3",
            "ShmSize": 2**30,
            "NetworkMode": "none",
            "ReadonlyRootfs": True,
            "Ulimits": [{"Name": "memlock", "Soft": -1, "Hard": -1}],
            "DeviceRequests": [
                {"Driver": "", "Count": 0, "DeviceIDs": ["GPU-1"], "Capabilities": [["gpu"]]}
            ],
        },
        "Mounts": [
            {"Source": mount["Source"], "Destination": mount["Target"], "RW": False}
            for mount in options["mounts"]
        ],
    }


@pytest.fixture
def described():
    options, _ = made(gpus=["GPU-1"], **LIMITS)
    return options


def found(described, container):
    return differences(container, OF_IMAGE, described, image_id=IMAGE)


def test_a_container_that_is_as_described(described):
    assert found(described, inspected(described)) == []


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("Image",), "sha256:1", f"its image is sha256:1, not {IMAGE}"),
        (("Config", "Cmd"), ["--help"], "its command is ['/usr/bin/python3', '-m', "),
        (("Config", "User"), "", "its user is none, not "),
        (("HostConfig", "Memory"), 0, "its memory in bytes is none, not 8589934592"),
        (("HostConfig", "NanoCpus"), 0, "its CPU limit in 10^-9 is none, not 1500000000"),
        (("HostConfig", "CpusetCpus"), "1", "its set of CPUs is 1, not 0,3"),
        (("HostConfig", "ShmSize"), 64, "its /dev/shm in bytes is 64, not 1073741824"),
        (("HostConfig", "NetworkMode"), "bridge", "its network is bridge, not none"),
        (
            ("HostConfig", "ReadonlyRootfs"),
            False,
            "its root file system is writable, not read-only",
        ),
        (("HostConfig", "Ulimits"), None, "its limit memlock is None, not -1"),
        (("HostConfig", "DeviceRequests"), None, "its GPUs are [], not [['GPU-1']]"),
        (("Mounts",), [], "it has not "),
    ],
)
def test_each_difference_is_named(described, place, value, message):
    container = copy.deepcopy(inspected(described))
    *folders, key = place
    part = container
    for folder in folders:
        part = part[folder]
    part[key] = value
    lines = found(described, container)
    assert lines
    assert lines[0].startswith(message)


def test_a_further_variable_is_a_difference(described):
    container = inspected(described)
    container["Config"]["Env"].append("OMP_NUM_THREADS=1")
    assert found(described, container) == ["its variable OMP_NUM_THREADS is 1, not None"]


def test_a_mount_that_can_be_written_is_none(described):
    container = inspected(described)
    container["Mounts"][0]["RW"] = True
    (line,) = found(described, container)
    assert line.endswith("mounted read-only at /llm-energy/worker")


def test_podman_shows_no_requests_for_gpus():
    options, _ = made(podman=True, gpus=["GPU-1"], **LIMITS)
    container = inspected(options)
    container["HostConfig"]["DeviceRequests"] = None
    assert found(options, container) == []


@pytest.mark.parametrize(
    ("value", "words"), [(None, ["is not set"]), ("", ["is empty"]), ("x", [])]
)
def test_a_container_has_a_value_of_each_secret_and_none_is_shown(value, words):
    options, _ = made(gpus=["GPU-1"], secrets=("A_KEY",), **LIMITS)
    container = inspected(options)
    variables = [v for v in container["Config"]["Env"] if not v.startswith("A_KEY=")]
    container["Config"]["Env"] = variables + ([] if value is None else [f"A_KEY={value}"])
    assert found(options, container) == [f"its variable A_KEY {word}" for word in words]
    container["Config"]["Env"] = [*variables, "A_KEY=x", "OTHER_KEY=s3cret"]
    assert found(options, container) == ["its variable OTHER_KEY is a secret, not None"]
