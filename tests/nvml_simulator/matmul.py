"""A stand-in for the load that the acceptance kit runs: drives the simulated GPUs.

`install` makes an interpreter which runs this instead of the kit's matrix products, and everything
else as the real one does.
"""

import os
import sys
import time
from pathlib import Path


def install(folder: Path) -> Path:
    """Make the interpreter; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    python = folder / "python"
    python.write_text(
        "#!/bin/sh\n"
        f'case "$1" in */matmul.py) exec {sys.executable} {__file__};; esac\n'
        f'exec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    return python


def say(load: float) -> None:
    with Path(os.environ["NVML_SIMULATOR_LOAD"]).open("a") as file:
        file.write(f"{time.monotonic()!r} {load!r}\n")


if __name__ == "__main__":
    say(1.0)
    print("working", flush=True)
    sys.stdin.read()
    say(0.0)
