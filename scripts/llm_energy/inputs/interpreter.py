"""The Python of a backend's environment, on this machine or in an image: one process, one outcome.

An environment is given by its marker; `kind` and `python` are enough, with `image`, `reference`
and `device` for one in an image.
"""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llm_energy.backends.process_runtime import worker_environment
from llm_energy.backends.runtime import SCRIPTS, worker_variables
from llm_energy.system.errors import InputError

Environment = Mapping[str, Any]


def run_python(
    environment: Environment,
    arguments: Sequence[str],
    *,
    stdin: bytes = b"",
    readable: Sequence[Path] = (),
    writable: Sequence[Path] = (),
    deadline_s: float,
    log: Path,
) -> subprocess.CompletedProcess[bytes]:
    """Run the interpreter of an environment, which finds the worker's code.

    Args:
        readable, writable: what the arguments or stdin name, absolute; all else may be hidden.
        log: gets what the process writes on stderr.

    Raises:
        InputError: it cannot be started, or did not end by the deadline.
    """
    command = [str(environment["python"]), *arguments]
    if environment["kind"] != "image":
        return _run_here(command, stdin=stdin, deadline_s=deadline_s, log=log)
    from llm_energy.containers.engine import DockerError
    from llm_energy.containers.once import run_once

    try:
        outcome = run_once(
            environment["image"],
            command,
            stdin=stdin,
            readable=[SCRIPTS / "worker", *readable],
            writable=writable,
            environment=worker_variables(str(SCRIPTS)),
            gpus=environment["device"] == "gpu",  # some engines cannot be imported without
            deadline_s=deadline_s,
        )
    except DockerError as error:
        raise InputError(f"{place_of(environment)}: {error}") from error
    with log.open("ab") as errors:
        errors.write(outcome.errors)
    return subprocess.CompletedProcess(command, outcome.exit_code, outcome.output)


def place_of(environment: Environment) -> str:
    """The interpreter, for a message."""
    where = f" in {environment['reference']}" if environment["kind"] == "image" else ""
    return f"{environment['python']}{where}"


def _run_here(
    command: Sequence[str], *, stdin: bytes, deadline_s: float, log: Path
) -> subprocess.CompletedProcess[bytes]:
    try:
        with log.open("ab") as errors:
            return subprocess.run(
                command,
                input=stdin,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=worker_environment(),
                timeout=deadline_s,
                check=False,
            )
    except OSError as error:
        raise InputError(f"{command[0]}: cannot be started: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        message = f"{command[0]} took over {deadline_s:g} s; log: {log}"
        raise InputError(message) from error
