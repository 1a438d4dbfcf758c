"""Virtual environments made from pinned requirements."""

import shutil
import subprocess
import sys
from pathlib import Path

from llm_energy.inputs.pip import run_pip
from llm_energy.system.errors import InputError
from llm_energy.system.files import write_atomically

INSTALLED = "installed"
"""File in a virtual environment that says what it was installed from; written last."""


def install(requirements: Path, venv: Path, *, log: Path) -> Path:
    """Have a virtual environment with exactly the pinned packages; returns its interpreter.

    One that is complete is kept, whatever else is in the folder is replaced.

    Raises:
        InputError: venv or pip failed.
    """
    python, installed = venv.absolute() / "bin" / "python", venv / INSTALLED
    wanted = requirements.read_text(encoding="utf-8")
    if installed.exists() and installed.read_text(encoding="utf-8") == wanted and python.exists():
        return python
    shutil.rmtree(venv, ignore_errors=True)
    make_venv(venv, log=log)
    options = ["--no-deps", "--no-compile", "--require-hashes", "--no-input"]
    run_pip(
        ["--python", str(python), "install", *options, "-r", str(requirements)],
        what=f"installing {requirements.parent.name}/{requirements.name}",
        log=log,
    )
    write_atomically(installed, wanted.encode())
    return python


def make_venv(venv: Path, *, log: Path) -> None:
    """Make an empty virtual environment, without pip: the workflow's own installs into it.

    Raises:
        InputError: Python has no venv module, or the disk does not take it.
    """
    command = [sys.executable, "-m", "venv", "--without-pip", str(venv)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    with log.open("ab") as file:
        file.write(done.stdout)
    if done.returncode != 0:
        output = done.stdout.decode(errors="replace").strip()
        if "No module named venv" in output:
            remedy = "on Debian or Ubuntu: sudo apt-get install -y python3-venv"
            raise InputError(f"{sys.executable} has no module venv; {remedy}")
        last = output.splitlines()[-1] if output else f"exit code {done.returncode}"
        raise InputError(f"making the virtual environment {venv} failed: {last} (log: {log})")
