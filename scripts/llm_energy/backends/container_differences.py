"""The differences between a container and its description."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from docker.utils import parse_bytes

from llm_energy.system.variables import is_secret

ROOT = {True: "read-only", False: "writable"}

OF_THE_ENGINE = {"HOSTNAME", "TERM", "container"}
"""Variables that an engine adds by itself."""


def differences(
    container: Mapping[str, Any],
    image: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    image_id: str,
) -> list[str]:
    """Return in words what of a container differs from its description; nothing where all agrees.

    Mounts and limits beside the described ones are left alone.

    Args:
        container, image: the container and its image, as the engine's API shows them.
        options: the description, by `container_options`.
        image_id: the image that it has to run.
    """
    host, config = container["HostConfig"], container["Config"]
    memory, cpus = options["mem_limit"], options["nano_cpus"]
    compared = {
        "image": (container["Image"], image_id),
        "command": (
            [*(config["Entrypoint"] or ()), *(config["Cmd"] or ())],
            [*options["entrypoint"], *options["command"]],
        ),
        "user": (config["User"], options["user"]),
        "memory in bytes": (host["Memory"], parse_bytes(memory) if memory else 0),
        "CPU limit in 10^-9": (host["NanoCpus"], cpus or 0),
        "set of CPUs": (host["CpusetCpus"], options["cpuset_cpus"] or ""),
        "/dev/shm in bytes": (host["ShmSize"], parse_bytes(options["shm_size"])),
        "network": (host["NetworkMode"], options["network_mode"]),
        "root file system": (ROOT[host["ReadonlyRootfs"]], ROOT[options["read_only"]]),
    }
    words = [
        f"its {what} is {found or 'none'}, not {wanted or 'none'}"
        for what, (found, wanted) in compared.items()
        if found != wanted
    ]
    return [
        *words,
        *_variables(config["Env"] or (), image["Config"]["Env"] or (), options["environment"]),
        *_limits(host.get("Ulimits") or (), options["ulimits"]),
        *_gpus(host.get("DeviceRequests") or (), options.get("device_requests") or ()),
        *_mounts(container["Mounts"], options["mounts"]),
    ]


def _variables(
    found: Sequence[str], of_image: Sequence[str], described: Mapping[str, str | None]
) -> Iterator[str]:
    wanted = {**_by_name(of_image), **described}
    has = _by_name(found)
    for name in sorted({*wanted, *has} - OF_THE_ENGINE):
        if name in described and described[name] is None:  # any value of a secret will do
            if not has.get(name):
                yield f"its variable {name} is {'empty' if name in has else 'not set'}"
        elif has.get(name) != wanted.get(name):
            values = (_shown(name, variables.get(name)) for variables in (has, wanted))
            yield "its variable {} is {}, not {}".format(name, *values)


def _shown(name: str, value: str | None) -> str | None:
    return "a secret" if value is not None and is_secret(name) else value


def _by_name(variables: Sequence[str]) -> dict[str, str]:
    pairs = (each.partition("=") for each in variables)
    return {name: value for name, _, value in pairs}


def _limits(found: Sequence[Mapping[str, Any]], described: Sequence[Any]) -> Iterator[str]:
    has = {each["Name"]: (each["Soft"], each["Hard"]) for each in found}
    for limit in described:
        if has.get(limit.name) != (limit.soft, limit.hard):
            yield f"its limit {limit.name} is {has.get(limit.name)}, not {limit.soft}"


def _gpus(
    found: Sequence[Mapping[str, Any]], described: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Podman shows no requests by CDI; its GPUs are counted inside."""
    if any(request["Driver"] == "cdi" for request in described):
        return
    if [*map(_request, found)] != [*map(_request, described)]:
        yield f"its GPUs are {[*map(_request, found)]}, not {[*map(_request, described)]}"


def _request(request: Mapping[str, Any]) -> list[str] | int:
    return request["DeviceIDs"] or int(request["Count"])


def _mounts(found: Sequence[Mapping[str, Any]], described: Sequence[Any]) -> Iterator[str]:
    has = {(each["Source"], each["Destination"]) for each in found if not each["RW"]}
    for mount in described:
        if (mount["Source"], mount["Target"]) not in has:
            yield f"it has not {mount['Source']} mounted read-only at {mount['Target']}"
