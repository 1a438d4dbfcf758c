"""Backends in containers: what identifies them, and which keys belong together."""

import pytest
from tests.llm_energy.make_campaigns import SHA, load, mistakes, with_experiments

from llm_energy.campaign.identity import DEBIAN_RECIPE
from llm_energy.campaign.problems import CampaignError

IMAGE = f"registry.example/toy@sha256:{SHA['a']}"
DOCKER = {"runtime": "docker"}
GPU = {"device": "gpu"}


@pytest.fixture
def root(own_root):
    """A checkout whose backend `toy` can be built as an image, on either kind of device."""
    (own_root / "envs" / "toy" / "Dockerfile").write_text("FROM debian@sha256:12\n")
    gpu = own_root / "envs" / "toy" / "gpu"
    gpu.mkdir()
    (gpu / "Dockerfile").write_text("FROM cuda@sha256:34\n")
    (own_root / DEBIAN_RECIPE).parent.mkdir()
    (own_root / DEBIAN_RECIPE).write_text("# how\ndebootstrap bookworm\n")
    return own_root


def campaign(measurement=None, **backend):
    config = with_experiments(one={"settings": {"batch_size": 2}})
    return config | {"backends": {"toy": backend}, "measurement": measurement or {}}


def spec_of(root, **options):
    (experiment,) = load(root, campaign(**options)).experiments
    return experiment.spec_hash


def test_a_dockerfile_defines_a_container_and_nothing_else(root):
    process, container = spec_of(root), spec_of(root, **DOCKER)
    (root / "envs" / "toy" / "Dockerfile").write_text("# why\n\nFROM debian@sha256:12\n")
    assert (spec_of(root), spec_of(root, **DOCKER)) == (process, container)
    (root / "envs" / "toy" / "Dockerfile").write_text("FROM debian@sha256:13\n")
    assert spec_of(root) == process
    assert spec_of(root, **DOCKER) not in (process, container)


def test_the_pins_define_a_container_too(root):
    before = spec_of(root, **DOCKER)
    (root / "envs" / "toy" / "requirements.txt").write_text("toy-engine==1.1\n")
    assert spec_of(root, **DOCKER) != before


def test_a_gpu_has_an_environment_of_its_own_where_the_backend_has_one(root):
    before = spec_of(root, measurement=GPU, **DOCKER)
    (root / "envs" / "toy" / "Dockerfile").write_text("FROM debian@sha256:13\n")
    assert spec_of(root, measurement=GPU, **DOCKER) == before
    (root / "envs" / "toy" / "gpu" / "Dockerfile").write_text("FROM cuda@sha256:35\n")
    assert spec_of(root, measurement=GPU, **DOCKER) != before


@pytest.mark.parametrize(
    ("missing", "options", "message"),
    [
        (
            "envs/toy/Dockerfile",
            DOCKER,
            "runtime docker on a CPU needs envs/toy/Dockerfile, which does not exist; "
            "choose another runtime or device, or add the file",
        ),
        (
            "envs/toy/requirements.txt",
            {"runtime": "process"},
            "runtime process on a CPU needs envs/toy/requirements.txt, which does not exist; "
            "choose another runtime or device, or add the file",
        ),
        (
            "envs/toy/gpu/requirements.txt",
            {"runtime": "process", "measurement": GPU},
            "runtime process on a GPU needs envs/toy/gpu/requirements.txt, which does not exist; "
            "choose another runtime or device, or add the file",
        ),
    ],
)
def test_an_environment_that_nothing_defines_is_one_line(root, missing, options, message):
    (root / missing).unlink(missing_ok=True)
    with pytest.raises(CampaignError) as error:
        load(root, campaign(**options))
    assert error.value.messages == [f"--config: backends.toy.environment: {message}"]


def test_the_declared_base_counts(root):
    bases = (None, "debian", "debian:12.8", f"debian@sha256:{SHA['b']}")
    assert len({spec_of(root, base=base, **DOCKER) for base in bases}) == len(bases)


def test_the_local_base_is_its_recipe(root):
    before = spec_of(root, base="debian", **DOCKER)
    (root / DEBIAN_RECIPE).write_text("debootstrap bookworm  # as ever\n")
    assert spec_of(root, base="debian", **DOCKER) != before
    (root / DEBIAN_RECIPE).write_text("# another comment\n\ndebootstrap bookworm\n")
    assert spec_of(root, base="debian", **DOCKER) == before


def test_an_image_is_its_digest_whatever_its_name_and_interpreter(root):
    def of(image, **more):
        return spec_of(root, environment={"image": image, **more}, **DOCKER)

    digest = f"sha256:{SHA['a']}"
    assert of(IMAGE) == of(digest) == of(f"mirror/toy@{digest}", python="/opt/venv/bin/python")
    assert of(IMAGE) != of(f"registry.example/toy@sha256:{SHA['b']}")


def test_a_container_that_runs_already_is_the_one_that_a_run_would_start(root):
    def attached(**environment):
        return spec_of(root, environment={"container": "mine", **environment}, **DOCKER)

    assert attached() == spec_of(root, **DOCKER)
    assert attached(image=IMAGE) == spec_of(root, environment={"image": IMAGE}, **DOCKER)
    debian = spec_of(root, base="debian", **DOCKER)
    assert spec_of(root, environment={"container": "mine"}, base="debian", **DOCKER) == debian


@pytest.mark.parametrize(
    "container",
    [{"cpus": 2}, {"memory": "8g"}, {"environment": {"OMP_NUM_THREADS": "2"}}, {"gpus": 1}],
)
def test_what_a_container_gets_to_work_with_counts(root, container):
    plain = spec_of(root, measurement=GPU, **DOCKER)
    assert spec_of(root, measurement=GPU, container=container, **DOCKER) != plain


@pytest.mark.parametrize(
    "container",
    [
        {},
        {"gpus": "all"},
        {"shm_size": "2g", "ulimits": {"memlock": -1}},
        {"user": "1000:1000", "read_only": False},
    ],
)
def test_what_changes_no_measurement_does_not_count(root, container):
    plain = spec_of(root, measurement=GPU, **DOCKER)
    assert spec_of(root, measurement=GPU, container=container, **DOCKER) == plain


def test_gpus_count_by_number_and_numbers_have_one_form(root):
    def of(**container):
        return spec_of(root, measurement=GPU, container=container, **DOCKER)

    assert of(gpus=["GPU-a", "GPU-b"]) == of(gpus=["GPU-c", "GPU-d"]) == of(gpus=2) == of(gpus=2.0)
    assert of(gpus=2) != of(gpus=1)
    assert of(cpus=2) == of(cpus=2.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": "debian"}, "base: is for runtime docker only; leave it out"),
        ({"container": {"cpus": 2}}, "container: is for runtime docker only; leave it out"),
        ({"container": {"gpus": 1}}, "container: is for runtime docker only; leave it out"),
        (
            {"environment": {"image": IMAGE}},
            "environment: an image needs a container; set runtime: docker",
        ),
        (
            DOCKER | {"environment": {"python": "/bin/python", "packages_sha256": SHA["a"]}},
            "environment: an interpreter of this host cannot run in a container; set runtime: "
            "process",
        ),
        (
            DOCKER | {"environment": {"image": IMAGE}, "base": "debian"},
            "base: is for a managed environment only; leave it out",
        ),
        (
            DOCKER | {"base": "debian:latest"},
            "base: `latest` names no image for long; give a tag or digest",
        ),
        (DOCKER | {"base": "python"}, "base: must be `debian`, or an image with its tag or digest"),
        (
            DOCKER | {"container": {"gpus": "all"}},
            "container.gpus: needs `measurement: {device: gpu}`",
        ),
        (
            DOCKER | {"container": {"gpus": "some"}},
            "container.gpus: must be `all`, a number, or a list of UUIDs",
        ),
        (DOCKER | {"container": {"gpus": []}}, "container.gpus: must not be empty"),
        (DOCKER | {"container": {"gpus": 0}}, "container.gpus: must be at least 1, not 0"),
        (
            DOCKER | {"container": {"gpus": [0]}},
            "container.gpus[0]: must be text, not 0; put it in quotes",
        ),
        (
            DOCKER | {"container": {"memory": "8GB"}},
            "container.memory: must be a whole number with its unit b, k, m or g, such as 8g",
        ),
        (
            DOCKER | {"container": {"memory": 8}},
            "container.memory: must be text, not 8; put it in quotes",
        ),
        (DOCKER | {"container": {"cpu": 2}}, "container.cpu: unknown key; did you mean cpus?"),
        (DOCKER | {"container": {"cpus": 0}}, "container.cpus: must be at least 0.01, not 0"),
        (
            DOCKER | {"container": {"environment": {"A-B": "1"}}},
            "container.environment.A-B: may hold letters, digits and `_`, and begins with no digit",
        ),
        (
            DOCKER | {"container": {"environment": {"THREADS": 2}}},
            "container.environment.THREADS: must be text, not 2; put it in quotes",
        ),
        (
            DOCKER | {"container": {"ulimits": {"memlock": "unlimited"}}},
            'container.ulimits.memlock: must be a whole number, not "unlimited"',
        ),
        (
            DOCKER | {"container": {"ulimits": {"memlock": -2}}},
            "container.ulimits.memlock: must be at least -1, not -2",
        ),
        (
            DOCKER | {"environment": {"image": "toy:1.0"}},
            "environment.image: must be an image by digest, `NAME@sha256:...`; `docker image "
            "inspect` tells it",
        ),
        (
            DOCKER | {"environment": {"image": IMAGE, "pyhton": "python3"}},
            "environment.pyhton: unknown key; did you mean python?",
        ),
        (
            {"environment": {"container": "mine"}},
            "environment: a container needs its runtime; set runtime: docker",
        ),
        (
            DOCKER | {"environment": {"container": "my container"}},
            "environment.container: must be the name of a container: letters, digits, `_`, `.`",
        ),
        (
            DOCKER | {"environment": {"container": "mine", "image": IMAGE}, "base": "debian"},
            "base: is for a managed environment only; leave it out",
        ),
        ({"runtime": "doker"}, "runtime: must be 'process' or 'docker', not \"doker\"; did you"),
    ],
)
def test_a_mistake_of_a_backend_is_one_line(root, options, message):
    found = mistakes(root, campaign(**options))
    assert len(found) == 1, found
    assert found[0].startswith(f"backends.toy.{message}")


def test_two_backends_share_no_container(root):
    config = campaign()
    toy = {**DOCKER, "environment": {"container": "mine"}}
    config["backends"] = {"toy": toy, "boxy": toy | {"environment": {"container": "mine"}}}
    assert mistakes(root, config) == [
        "backends.boxy.environment.container: is the container of toy already; name another one"
    ]


def test_sets_of_gpus_share_no_container(root):
    config = campaign(measurement=GPU, environment={"container": "mine"}, **DOCKER)
    config["parallel"] = {"devices": "all", "devices_per_measurement": 1}
    assert mistakes(root, config) == [
        "backends.toy.environment.container: one that runs already cannot be that of each set; "
        "leave it out"
    ]
