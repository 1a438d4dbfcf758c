"""The Python of a backend's environment, on this machine or in an image: one process, one outcome.

An environment is given by its marker; `kind` and `python` are enough, with `image`, `reference`
and `device` for one in an image.
"""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llm_energy.backends.process_runtime import worker_environment
from llm_energy.backends.runtime import SCRIPTS, worker_variables
from llm_energy.system.errors import InputError

Environment = Mapping[str, Any]

DEADLINE_S = 3600.0
"""For the slowest question: the conversion of a large model on a slow disk."""

DEBIAN_PACKAGES = {
    "libgomp.so.1": "libgomp1",
    "libnuma.so.1": "libnuma1",
    "libGL.so.1": "libgl1",
    "libstdc++.so.6": "libstdc++6",
    "libtcmalloc_minimal.so.4": "libtcmalloc-minimal4",
}
"""System libraries that engines link against, by the Debian package that has them."""


def ask_worker(
    environment: Environment,
    request: Mapping[str, Any],
    *,
    readable: Sequence[Path] = (),
    writable: Sequence[Path] = (),
    log: Path,
) -> dict[str, Any]:
    """Run one operation of `worker.oneshot` in a backend's environment.

    Args:
        environment: its marker, or what `run_python` needs of it.
        request: `op` and what it needs.
        readable, writable: files and folders that the request names, absolute.
        log: gets what the engine writes on stderr.
    """
    done = run_python(
        environment,
        ["-m", "worker.oneshot"],
        stdin=json.dumps(request).encode(),
        readable=readable,
        writable=writable,
        deadline_s=DEADLINE_S,
        log=log,
    )
    answer = _last_line(done.stdout)
    if done.returncode == 0 and answer and "error" not in answer:
        return answer
    error = answer.get("error") or f"exit code {done.returncode}"
    raise InputError(in_one_line(f"{request['op']} with {place_of(environment)}", error, log=log))


def in_one_line(what: str, message: str, *, log: Path) -> str:
    """Put an engine's message on one line; name the package of a missing system library."""
    missing = re.search(r"(lib[\w.+-]+\.so[.\d]*): cannot open shared object file", message)
    if missing:
        remedy = "install the system package that has it"
        if package := DEBIAN_PACKAGES.get(missing[1]):
            remedy = f"on Debian or Ubuntu: sudo apt-get install -y {package}"
        return f"the system library {missing[1]} is missing; {remedy}"
    return f"{what} failed: {' '.join(message.split())} (log: {log})"


def _last_line(output: bytes) -> dict[str, Any]:
    """The answer: the last line, since an engine may print lines of its own before it."""
    try:
        answer = json.loads(output.strip().splitlines()[-1])
    except (IndexError, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}


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
        done = run_once(
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
        errors.write(done.stderr)
    return done


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
        raise InputError(f"{command[0]} took over {deadline_s:g} s; log: {log}") from error
