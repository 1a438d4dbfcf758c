"""Run one operation of the worker in a backend's environment, in a process of its own."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llm_energy.inputs.interpreter import Environment, place_of, run_python
from llm_energy.system.errors import InputError

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

    Raises:
        InputError: the operation failed.
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
    if done.returncode == 0 and answer is not None and "error" not in answer:
        return answer
    error = answer.get("error") if answer else None
    what = f"{request['op']} with {place_of(environment)}"
    raise InputError(in_one_line(what, error or f"exit code {done.returncode}", log=log))


def in_one_line(what: str, message: str, *, log: Path) -> str:
    """Put an engine's message on one line; name the package of a missing system library."""
    missing = re.search(r"(lib[\w.+-]+\.so[.\d]*): cannot open shared object file", message)
    if missing:
        library = missing[1]
        package = DEBIAN_PACKAGES.get(library)
        remedy = (
            f"on Debian or Ubuntu: sudo apt-get install -y {package}"
            if package
            else "install the system package that has it"
        )
        return f"the system library {library} is missing; {remedy}"
    return f"{what} failed: {' '.join(message.split())} (log: {log})"


def _last_line(output: bytes) -> dict[str, Any] | None:
    """The answer: the last line, since an engine may print lines of its own before it."""
    lines = output.strip().splitlines()
    try:
        answer = json.loads(lines[-1])
    except (IndexError, ValueError):
        return None
    return answer if isinstance(answer, dict) else None
