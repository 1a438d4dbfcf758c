"""The definition of a backend's container: its share of the host, its labels, its health check."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from docker.types import Healthcheck, Ulimit

from llm_energy.backends.runtime import SCRIPTS, DeclaredBackend, secrets_of, worker_variables
from llm_energy.containers.engine import LABEL, EngineKind, confined, gpu_options, read_only
from llm_energy.runs.run import Run
from llm_energy.system.files import sha256_of
from llm_energy.system.processes import pid_namespace

CODE = "/llm-energy"
"""Where the worker's code is mounted."""

STATE = "/run/llm-energy"
"""Memory file system for the supervisor's socket, its heartbeat and the engine's log."""

SOCKET = f"{STATE}/supervisor.sock"

HEARTBEAT = f"{STATE}/supervisor.heartbeat"
"""The supervisor touches it every second."""

HEARTBEAT_LIMIT_S = 30
"""Age of the heartbeat from which a supervisor counts as hung."""

HEALTH_COMMAND = f"test $(($(date +%s) - $(stat -c %Y {HEARTBEAT}))) -lt {HEARTBEAT_LIMIT_S}"

HEALTHCHECK = Healthcheck(
    test=["CMD-SHELL", HEALTH_COMMAND],
    interval=30 * 10**9,
    timeout=10 * 10**9,
    retries=2,
    start_period=30 * 10**9,
)
"""Reads a file's age: two processes of milliseconds each 30 s, all that disturbs a window."""

LOG_OPTIONS = {"max-size": "10m", "max-file": "2"}


def container_options(
    declared: DeclaredBackend, python: str, *, campaign: str, kind: EngineKind
) -> dict[str, Any]:
    """Return the arguments of `containers.create` for a backend, except for image and name.

    A container that its user starts must have the same. Variables with secrets have the value None.
    """
    container = declared.container
    labels = {
        "campaign": campaign,
        "backend": declared.name,
        "configuration": sha256_of({"id": declared.environment_id, "container": asdict(container)}),
    }
    cpus, memory = container.cpus, container.memory
    return {
        "entrypoint": [python, "-m", "worker.supervisor"],
        "command": ["--socket", SOCKET, "--log", STATE],
        "labels": {f"{LABEL}.{key}": value for key, value in labels.items()},
        "init": True,
        "read_only": container.read_only,
        "working_dir": "/tmp",
        **confined(
            user=container.user,
            rootless=kind.rootless,
            environment={
                **worker_variables(CODE),
                **container.environment,
                **dict.fromkeys(declared.secrets),
            },
        ),
        "mounts": [
            read_only(SCRIPTS / "worker", target=f"{CODE}/worker"),
            *(read_only(path) for path in map(Path, declared.readable)),
        ],
        # Docker's own default is noexec; engines load what they compile from here.
        "tmpfs": {"/tmp": "exec,mode=1777", STATE: "mode=1777"},
        "shm_size": container.shm_size,
        "ulimits": [
            Ulimit(name=name, soft=limit, hard=limit) for name, limit in container.ulimits.items()
        ],
        "mem_limit": memory,
        "memswap_limit": memory,  # no swap: an engine in swap would be measured
        "nano_cpus": None if cpus is None else int(cpus * 1e9),
        "cpuset_cpus": ",".join(map(str, declared.cpu_set)) if declared.cpu_set else None,
        **gpu_options(container.gpus, podman=kind.podman),
        # Podman runs health checks by systemd, if at all: the watchdog runs them instead.
        **({} if kind.podman else {"healthcheck": HEALTHCHECK}),
        "log_config": {"Type": "json-file", "Config": LOG_OPTIONS},
    }


def run_options(
    declared: DeclaredBackend, python: str, run: Run, *, kind: EngineKind
) -> dict[str, Any]:
    """Return the options of a container that a run starts, and that ends with it."""
    record = run.record
    options = container_options(declared, python, campaign=record.campaign, kind=kind)
    labels = {
        "run": run.run_id,
        "owner": json.dumps(record.owner.to_json()),
        "namespace": pid_namespace(),
    }
    return {
        **options,
        "name": f"llm-energy-{run.run_id}-{declared.name}",
        "command": [*options["command"], "--lease", str(run.lease)],
        "environment": options["environment"] | secrets_of(declared),
        "labels": options["labels"] | {f"{LABEL}.{key}": value for key, value in labels.items()},
        "mounts": [*options["mounts"], read_only(run.folder)],
        "auto_remove": True,
        "detach": True,
    }
