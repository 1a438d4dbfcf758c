"""What is known of the host and of the code: gathered once when a run starts."""

import platform
import subprocess
from pathlib import Path
from typing import Any


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


def describe_host(root: Path) -> dict[str, Any]:
    """Facts of the host and of the checkout at `root`, for every result of a run."""
    commit, dirty = git_state(root)
    return {
        "host": platform.node(),
        "cpu_model": cpu_model(),
        "kernel": platform.release(),
        "git_commit": commit,
        "git_dirty": dirty,
    }
