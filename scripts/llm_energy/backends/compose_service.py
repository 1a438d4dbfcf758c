"""The container of a backend as a service of a Compose file.

Source: the Compose Specification, services and their `deploy.resources.reservations.devices`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from docker.types import DeviceRequest, Mount, Ulimit

NANO = 10**9

REQUIRED = "${{{name}:?set it in the environment of this command}}"
"""Value that Compose takes from its own environment. Where a key has none, Compose starts the
container without the variable, and prints nothing."""


def service(image: str, options: Mapping[str, Any], *, name: str) -> dict[str, Any]:
    """Return a service whose container is the described one.

    Args:
        image: its name or id; it is never pulled.
        options: the container, as `container_options` describes it.
        name: of the container.

    Raises:
        KeyError: an option that has no translation.
    """
    keys = {"image": image, "pull_policy": "never", "container_name": name, "restart": "no"}
    for option, value in options.items():
        if value is not None:
            keys |= TRANSLATIONS[option](value)
    literal: dict[str, Any] = escaped(keys)
    for variable, value in options["environment"].items():
        if value is None:
            literal["environment"][variable] = REQUIRED.format(name=variable)
    return literal


def escaped(value: Any) -> Any:
    """Return a value in which Compose replaces no variables: each `$` doubled."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, Mapping):
        return {key: escaped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [escaped(item) for item in value]
    return value


def _volumes(mounts: Sequence[Mount]) -> dict[str, Any]:
    # Without the last key Compose makes an empty folder of a source that is missing.
    return {
        "volumes": [
            {
                "type": mount["Type"],
                "source": mount["Source"],
                "target": mount["Target"],
                "read_only": mount["ReadOnly"],
                "bind": {"create_host_path": False},
            }
            for mount in mounts
        ]
    }


def _ulimits(limits: Sequence[Ulimit]) -> dict[str, Any]:
    return {"ulimits": {each.name: {"soft": each.soft, "hard": each.hard} for each in limits}}


def _devices(requests: Sequence[DeviceRequest]) -> dict[str, Any]:
    devices = []
    for request in requests:
        device: dict[str, Any] = {"driver": request["Driver"]} if request["Driver"] else {}
        # Compose wants capabilities of every device; CDI reads none.
        device["capabilities"] = [name for each in request["Capabilities"] for name in each]
        device["capabilities"] = device["capabilities"] or ["gpu"]
        if request["DeviceIDs"]:
            device["device_ids"] = list(request["DeviceIDs"])
        else:
            device["count"] = "all" if request["Count"] == -1 else request["Count"]
        devices.append(device)
    return {"deploy": {"resources": {"reservations": {"devices": devices}}}}


def _healthcheck(check: Mapping[str, Any]) -> dict[str, Any]:
    times = {"interval": "Interval", "timeout": "Timeout", "start_period": "StartPeriod"}
    return {
        "healthcheck": {
            "test": check["Test"],
            **{key: f"{check[name] // NANO}s" for key, name in times.items()},
            "retries": check["Retries"],
        }
    }


def _same(key: str) -> Callable[[Any], dict[str, Any]]:
    return lambda value: {key: value}


TRANSLATIONS: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    **{
        key: _same(key)
        for key in (
            *("entrypoint", "command", "labels", "init", "read_only", "working_dir", "shm_size"),
            *("network_mode", "cap_drop", "security_opt", "user", "environment"),
            *("mem_limit", "memswap_limit"),
        )
    },
    "mounts": _volumes,
    "tmpfs": lambda value: {"tmpfs": [f"{path}:{options}" for path, options in value.items()]},
    "ulimits": _ulimits,
    "nano_cpus": lambda value: {"cpus": value / NANO},
    "cpuset_cpus": _same("cpuset"),
    "device_requests": _devices,
    "healthcheck": _healthcheck,
    "log_config": lambda value: {
        "logging": {"driver": value["Type"], "options": value["Config"]},
    },
}
"""Option of `containers.create` -> its keys of a service."""
