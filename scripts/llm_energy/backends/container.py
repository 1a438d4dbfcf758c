"""What a backend's container is: what it gets of the host, how it is known and judged."""

import json
import os
from pathlib import Path
from typing import Any

from docker.types import DeviceRequest, Healthcheck, Ulimit

from llm_energy.backends.runtime import SCRIPTS, DeclaredBackend
from llm_energy.containers.engine import LABEL
from llm_energy.results import sha256_of
from llm_energy.runs import Run

CODE = "/llm-energy"
"""Where the worker's code is mounted."""

STATE = "/run/llm-energy"
"""Memory file system for the supervisor's socket, its heartbeat and the engine's log."""

SOCKET = f"{STATE}/supervisor.sock"

HEARTBEAT = f"{STATE}/supervisor.heartbeat"
"""The supervisor touches it every second."""

HEARTBEAT_LIMIT_S = 30
"""Age of the heartbeat from which a supervisor counts as hung."""

HEALTHCHECK = Healthcheck(
    test=[
        "CMD-SHELL",
        f"test $(($(date +%s) - $(stat -c %Y {HEARTBEAT}))) -lt {HEARTBEAT_LIMIT_S}",
    ],
    interval=30 * 10**9,
    timeout=10 * 10**9,
    retries=2,
    start_period=30 * 10**9,
)
"""Reads a file's age: two processes of milliseconds each 30 s, all that disturbs a window."""

LOG_OPTIONS = {"max-size": "10m", "max-file": "2"}


def container_options(declared: DeclaredBackend, run: Run) -> dict[str, Any]:
    """What `containers.create` is told, but for the image."""
    container, facts = declared.container, run.facts
    volumes = {str(SCRIPTS / "worker"): {"bind": f"{CODE}/worker", "mode": "ro"}}
    for path in (run.folder, *map(Path, declared.readable)):
        volumes[str(path)] = {"bind": str(path), "mode": "ro"}
    user = container.get("user") or f"{os.getuid()}:{os.getgid()}"
    labels = {
        "run": run.run_id,
        "campaign": facts["campaign"],
        "backend": declared.name,
        "configuration": sha256_of({"id": declared.environment_id, "container": dict(container)}),
        "owner": json.dumps(facts["owner"]),
        "namespace": pid_namespace(),
    }
    cpus, memory = container.get("cpus"), container.get("memory")
    return {
        "name": f"llm-energy-{run.run_id}-{declared.name}",
        "entrypoint": [declared.environment["python"], "-m", "worker.supervisor"],
        "command": ["--socket", SOCKET, "--lease", str(run.lease), "--log", STATE],
        "labels": {f"{LABEL}.{key}": value for key, value in labels.items()},
        "init": True,
        "auto_remove": True,
        "detach": True,
        "network_mode": "none",
        "read_only": container["read_only"],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "user": user,
        "working_dir": "/tmp",
        "environment": {
            "PYTHONPATH": CODE,
            "PYTHONDONTWRITEBYTECODE": "1",
            "HF_HUB_OFFLINE": "1",
            "HOME": "/tmp",
            "USER": "llm-energy",  # the user may have no name in the image
            **container["environment"],
        },
        "volumes": volumes,
        # Docker's own default is noexec; engines load what they compile from here.
        "tmpfs": {"/tmp": "exec,mode=1777", STATE: "mode=1777"},
        "shm_size": container["shm_size"],
        "ulimits": [
            Ulimit(name=name, soft=limit, hard=limit)
            for name, limit in container["ulimits"].items()
        ],
        "mem_limit": memory,
        "memswap_limit": memory,  # no swap: an engine in swap would be measured
        "nano_cpus": None if cpus is None else int(cpus * 1e9),
        "device_requests": device_requests(container.get("gpus")),
        "healthcheck": HEALTHCHECK,
        "log_config": {"Type": "json-file", "Config": LOG_OPTIONS},
    }


def device_requests(gpus: Any) -> list[DeviceRequest]:
    """`all`, a number, or UUIDs, as the engine wants it; nothing for None."""
    if gpus is None:
        return []
    if isinstance(gpus, list):
        return [DeviceRequest(device_ids=gpus, capabilities=[["gpu"]])]
    count = -1 if gpus == "all" else int(gpus)
    return [DeviceRequest(count=count, capabilities=[["gpu"]])]


def pid_namespace() -> str:
    """Within it process ids mean something: a workflow may itself run in a container."""
    return str(Path("/proc/self/ns/pid").readlink())
