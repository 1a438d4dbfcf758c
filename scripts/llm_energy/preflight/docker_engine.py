"""The container engine, and whether its containers can have GPUs: from what `docker info` says."""

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from llm_energy.containers.engine import (
    CDI_GPU,
    PODMAN,
    DockerError,
    connect,
    docker_errors,
    engine_version,
    host,
    in_one_line,
    rootless,
)
from llm_energy.preflight.asking import RefusalError
from llm_energy.preflight.findings import Finding

TOOLKIT_MISSING = in_one_line(Exception("could not select device driver"))
"""The message of a run when the engine refuses a container its GPUs."""

HOOKS = ("nvidia-container-runtime-hook", "nvidia-cdi-hook")
"""Programs of the NVIDIA container toolkit; an engine that found one when it started gives GPUs
to containers, and no interface says whether it did."""

CDI_FOLDERS = ("/etc/cdi", "/var/run/cdi")
"""Where Podman looks for descriptions of devices (Container Device Interface specification)."""

INIT_FOLDERS = ("/usr/libexec/podman", "/usr/lib/podman", "/usr/local/libexec/podman")
"""Where Podman looks for its helper programs, beside the search path."""

PODMAN_GIVES_GPUS_SINCE = (5, 4)
"""First version of Podman that hands out GPUs over Docker's API (containers/podman#25171)."""

TOO_OLD = (
    "ignores requests for GPUs over Docker's API; install Podman 5.4 or newer, or use Docker, or "
    "`runtime: process`"
)

CDI_SINCE = 29
"""First version of the engine that answers requests for GPUs with whole GPUs by CDI."""


def ask_engine() -> dict[str, Any]:
    """`docker info`, with the name of the engine and the versions of engine and API."""
    try:
        with closing(connect()) as client, docker_errors():
            version = client.version()["ApiVersion"]
            return {**client.info(), "ApiVersion": version, "Engine": engine_version(client)}
    except DockerError as error:
        raise RefusalError(str(error)) from error


def engine_findings(info: Mapping[str, Any], *, memory_limits: bool) -> list[Finding]:
    """Describe the engine.

    Args:
        memory_limits: whether a container of the campaign has one.
    """
    # Without root, version 1 of cgroups limits nothing, whatever the engine says.
    limits = not (rootless(info) and info.get("CgroupVersion") == "1")
    facts = {
        "address": host(),
        "engine": info["Engine"],
        "version": info["ServerVersion"],
        "api_version": info["ApiVersion"],
        "storage_driver": info["Driver"],
        "root_folder": info["DockerRootDir"],
        "cgroup_version": info.get("CgroupVersion"),
        "rootless": rootless(info),
        "memory_limit": limits and bool(info.get("MemoryLimit")),
        "swap_limit": limits and bool(info.get("SwapLimit")),
    }
    message = (
        f"{info['Engine']}, API {facts['api_version']}, {facts['storage_driver']} in "
        f"{facts['root_folder']}, {'rootless' if facts['rootless'] else 'run by root'}, "
        f"cgroups v{facts['cgroup_version'] or '?'}"
    )
    findings = [Finding("ok", "docker", message, facts)]
    if memory_limits and not facts["memory_limit"]:
        findings.append(Finding("warning", "docker", NO_MEMORY_LIMIT))
    elif memory_limits and not facts["swap_limit"]:
        findings.append(Finding("warning", "docker", NO_SWAP_LIMIT))
    if facts["storage_driver"] == "vfs":
        findings.append(Finding("warning", "docker", VFS))
    if _is_podman(info) and not any(_places_of_init()):
        findings.append(Finding("problem", "docker", NO_INIT))
    return findings


def _is_podman(info: Mapping[str, Any]) -> bool:
    return str(info["Engine"]).startswith(PODMAN)


def _places_of_init() -> Iterator[str]:
    yield from filter(None, [shutil.which("catatonit")])
    yield from (folder for folder in INIT_FOLDERS if Path(folder, "catatonit").exists())


NO_INIT = in_one_line(Exception("container-init binary not found"))
"""The message of a run when Podman refuses a container its init."""

NO_CDI = in_one_line(Exception("unresolvable CDI devices"))
"""The message of a run when Podman knows no NVIDIA device."""

NO_MEMORY_LIMIT = (
    "the engine cannot limit memory, so `container.memory` has no effect; boot the kernel with "
    "cgroup_enable=memory, and a rootless engine needs its controllers delegated by systemd"
)
NO_SWAP_LIMIT = (
    "the engine cannot limit swap, so a container at its memory limit swaps instead of ending as "
    "out of memory; boot the kernel with swapaccount=1, or turn swap off (sudo swapoff -a)"
)
VFS = (
    "storage driver vfs copies every layer of an image whole: images take several times their "
    "size; set the engine up with overlay2"
)


def toolkit_finding(info: Mapping[str, Any]) -> Finding:
    """Report whether containers of this engine can have NVIDIA GPUs."""
    devices = [device.get("ID", "") for device in info.get("DiscoveredDevices") or []]
    cdi = [name for name in devices if name.startswith("nvidia.com/gpu")]
    runtimes = sorted(info.get("Runtimes") or {})
    installed = [name for name in HOOKS if shutil.which(name)]
    facts = {"runtimes": runtimes, "cdi_devices": cdi, "installed": installed}
    subject = "gpus in docker"
    if _is_podman(info):
        described = [str(path) for path in _descriptions() if CDI_GPU in path.read_text()]
        facts["cdi_files"] = described
        if _version(info["ServerVersion"]) < PODMAN_GIVES_GPUS_SINCE:
            return Finding("problem", subject, f"{info['Engine']} {TOO_OLD}", facts)
        if described:
            return Finding("ok", subject, f"NVIDIA devices are described in {described[0]}", facts)
        return Finding("problem", subject, NO_CDI, facts)
    if "nvidia" in runtimes:
        return Finding("ok", subject, "the engine has the runtime `nvidia`", facts)
    if cdi and _version(info["ServerVersion"]) >= (CDI_SINCE,):
        return Finding("ok", subject, f"the engine has {len(cdi)} NVIDIA devices by CDI", facts)
    if installed:
        message = (
            f"{installed[0]} is installed, but the engine has no runtime `nvidia`: containers get "
            "GPUs only if the engine was started after it; to be sure, run `sudo nvidia-ctk "
            "runtime configure --runtime=docker` and restart the engine"
        )
        return Finding("warning", subject, message, facts)
    return Finding("problem", subject, TOOLKIT_MISSING, facts)


def _descriptions() -> Iterator[Path]:
    for folder in map(Path, CDI_FOLDERS):
        for pattern in ("*.yaml", "*.json"):
            yield from folder.glob(pattern)


def _version(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version; (0,) for one without."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else (0,)
