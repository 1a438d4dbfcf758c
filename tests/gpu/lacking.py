"""Print the part of the lock file that a machine lacks, with its hashes and for its Python.

python tests/gpu/lacking.py PYTHON_VERSION NAMES < envs/workflow/requirements.lock
"""

import sys
from pathlib import Path

from packaging.markers import Environment, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def lacking(lock: str, *, python_version: str, present: set[str]) -> str:
    """Return the requirements of a lock file whose markers hold there and that are not present."""
    target: Environment = default_environment()
    target["python_version"] = python_version
    target["python_full_version"] = f"{python_version}.3"
    lines = [line for line in lock.splitlines() if not line.lstrip().startswith("#")]
    kept = []
    for block in "\n".join(lines).replace("\\\n", " ").splitlines():
        text, *hashes = block.split("--hash=")
        if not text.strip():
            continue
        requirement = Requirement(text.strip())
        holds = requirement.marker is None or requirement.marker.evaluate(dict(target))
        if holds and canonicalize_name(requirement.name) not in present:
            kept.append(
                f"{requirement.name}{requirement.specifier}"
                + "".join(f" --hash={each.strip()}" for each in hashes)
            )
    return "\n".join(kept) + "\n"


def names(file: Path) -> set[str]:
    """Return the package names of a list with one name a line and comments."""
    lines = (line.partition("#")[0].strip() for line in file.read_text().splitlines())
    return {canonicalize_name(line) for line in lines if line}


if __name__ == "__main__":
    version, file = sys.argv[1:]
    print(lacking(sys.stdin.read(), python_version=version, present=names(Path(file))), end="")
