"""Properties of the host and of the code, gathered once when a run starts."""

import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class HostDescription:
    """The host of a run and the code that it measures with."""

    host: str
    cpu_model: str
    kernel: str
    git_commit: str | None
    git_dirty: bool | None


def cpu_model() -> str:
    """The CPU's own name for itself, such as `AMD EPYC 9B14`."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model", "cpu"):
            return value.strip()
    return platform.machine()


def git_state(root: Path) -> tuple[str | None, bool | None]:
    """Commit of the checkout at `root` and whether it has changes; (None, None) without git."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "-uno"))
    except (OSError, subprocess.CalledProcessError):
        return None, None


def describe_host(root: Path) -> HostDescription:
    """Describe this host and the checkout at `root`, for every result of a run."""
    commit, dirty = git_state(root)
    return HostDescription(platform.node(), cpu_model(), platform.release(), commit, dirty)
