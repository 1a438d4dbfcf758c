"""Questions to the worker inside a backend's environment: one process, one question, one answer."""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llm_energy.backends.process import worker_environment
from llm_energy.inputs.errors import InputError

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


def ask_worker(python: Path, request: Mapping[str, Any], *, log: Path) -> dict[str, Any]:
    """Run one operation of `worker.oneshot` with the interpreter of a backend's environment.

    Args:
        request: `op` and what it needs.
        log: gets what the engine writes on stderr.

    Raises:
        InputError: the operation failed.
    """
    what = f"{request['op']} with {python}"
    try:
        with log.open("ab") as errors:
            done = subprocess.run(
                [str(python), "-m", "worker.oneshot"],
                input=json.dumps(request).encode(),
                stdout=subprocess.PIPE,
                stderr=errors,
                env=worker_environment(),
                timeout=DEADLINE_S,
                check=False,
            )
    except OSError as error:
        raise InputError(f"{python}: cannot be started: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{what} took over {DEADLINE_S:g} s; log: {log}") from error
    answer = _last_line(done.stdout)
    if done.returncode == 0 and answer is not None and "error" not in answer:
        return answer
    told = answer.get("error") if answer else None
    raise InputError(in_one_line(what, told or f"exit code {done.returncode}", log=log))


def in_one_line(what: str, message: str, *, log: Path) -> str:
    """An engine's message as one line; a missing system library is named with its package."""
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
