"""Packages from the index, by the pip of the interpreter that runs the workflow."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from llm_energy.system.errors import InputError

UNREACHABLE = (
    "name resolution",
    "Connection refused",
    "Max retries exceeded",
    "NewConnectionError",
    "Read timed out",
    "Network is unreachable",
)
"""Printed by pip when the index does not answer."""

NO_MESSAGE = "pip failed without a message"


def run_pip(arguments: Sequence[str], *, what: str, log: Path) -> None:
    """Run pip; its whole output goes to `log`.

    Args:
        what: what this is for, to begin the message with.

    Raises:
        InputError: pip failed; one line with the reason and, where it is known, the remedy.
    """
    command = [sys.executable, "-m", "pip", *arguments]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    with log.open("ab") as file:
        file.write(done.stdout)
    if done.returncode != 0:
        reason = explain(done.stdout.decode(errors="replace"))
        raise InputError(f"{what}: {reason} (log: {log})")


def explain(output: str) -> str:
    """Explain a failure of pip from its output."""
    if "No module named pip" in output:
        return f"{sys.executable} has no pip; add it: {sys.executable} -m ensurepip"
    if "No space left on device" in output:
        return "no space left on the disk"
    if any(words in output for words in UNREACHABLE):
        return "the package index cannot be reached; check the network and PIP_INDEX_URL"
    missing = re.search(r"No matching distribution found for (\S+)", output)
    if missing and re.match(r"torch\b", missing[1]):
        return (
            f"the package index has no {missing[1]} for this machine; set PIP_EXTRA_INDEX_URL to "
            "an index with PyTorch's CPU wheels (pytorch.org names it), or PIP_FIND_LINKS to a "
            "folder with the wheel"
        )
    if missing:
        return (
            f"the package index has no {missing[1]} for Python "
            f"{sys.version_info.major}.{sys.version_info.minor} on this machine"
        )
    if "DO NOT MATCH THE HASHES" in output:
        wheel = re.search(r"^\s+(\S+==\S+|\S+) .*?from ", output, re.MULTILINE)
        return (
            f"{wheel[1] if wheel else 'a package'} from the index is not the file that was pinned; "
            "check the index, or pin it again"
        )
    errors = re.findall(r"^ERROR: (.+)$", output, re.MULTILINE)
    return str(errors[-1]) if errors else NO_MESSAGE
