"""Environments that engines run in: made from pinned requirements, or the user's own."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llm_energy.inputs.errors import InputError
from llm_energy.inputs.oneshot import ask_worker
from llm_energy.inputs.pip import run_pip
from llm_energy.results import sha256_of, write_atomically

LIST_PACKAGES = (
    "import json, importlib.metadata as m; "
    "print(json.dumps({d.metadata['Name']: d.version for d in m.distributions()}))"
)

INSTALLED = "installed"
"""File in a virtual environment that says what it was installed from; written last."""


def prepare_environment(
    identity: Mapping[str, Any],
    *,
    backend: str,
    python: str | None,
    requirements: Path,
    target: Path,
    log: Path,
) -> dict[str, Any]:
    """Have an environment for a backend and return the content of its marker.

    Args:
        identity: what defines the environment.
        python: interpreter of an environment of the user's; None to make one in `target`.
        requirements: pinned requirements, with hashes, of the environment to make.
        target: the marker's folder.

    Raises:
        InputError: it cannot be made, or its engine does not start in it.
    """
    if python is not None:
        interpreter = Path(python).absolute()
    else:
        interpreter = install(requirements, target / "venv", log=log)
    described = describe(interpreter, backend, log=log)
    if python is not None:
        check_packages(interpreter, described["packages"], declared=identity["packages_sha256"])
    return {
        "kind": "venv" if python is None else "interpreter",
        "python": str(interpreter),
        **described,
        "environment_hash": sha256_of(identity),
    }


def describe(interpreter: Path, backend: str, *, log: Path) -> dict[str, Any]:
    """What the engine says of itself: `engine_version`, `python_version`, `packages`.

    Raises:
        InputError: there is no such interpreter, or the engine cannot be imported in it.
    """
    if not interpreter.is_file():
        raise InputError(f"{interpreter}: no such interpreter; correct backends.{backend}")
    answer = ask_worker(interpreter, {"op": "describe", "backend": backend}, log=log)
    return {
        "python_version": answer["python_version"],
        "engine_version": answer["engine_version"],
        "packages": installed_packages(interpreter),
    }


def installed_packages(interpreter: Path) -> dict[str, str]:
    """Version of each package of an environment, without starting its engine (0.1 s).

    Raises:
        InputError: it is no working Python interpreter.
    """
    try:
        listed = subprocess.run(
            [str(interpreter), "-c", LIST_PACKAGES], capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(f"{interpreter}: not a Python interpreter that works") from error
    packages: dict[str, str] = json.loads(listed.stdout)
    return packages


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
        told = done.stdout.decode(errors="replace").strip()
        if "No module named venv" in told:
            remedy = "on Debian or Ubuntu: sudo apt-get install -y python3-venv"
            raise InputError(f"{sys.executable} has no module venv; {remedy}")
        last = told.splitlines()[-1] if told else f"exit code {done.returncode}"
        raise InputError(f"making the virtual environment {venv} failed: {last} (log: {log})")


def check_packages(interpreter: Path, packages: Mapping[str, str], *, declared: str) -> None:
    """Whether the user's environment holds the packages that are pinned.

    Raises:
        InputError: it does not.
    """
    found = packages_sha256(packages)
    if found != declared:
        raise InputError(
            f"{interpreter}: its packages have packages_sha256 {found}, declared is {declared}; "
            "restore them, or pin the new ones (in the campaign, or with the `lock` target)"
        )


def package_lines(packages: Mapping[str, str]) -> list[str]:
    """Sorted `name==version` lines, names in their normal form (PEP 503)."""
    normal = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in packages.items()}
    return sorted(f"{name}=={version}" for name, version in normal.items())


def packages_sha256(packages: Mapping[str, str]) -> str:
    """What identifies a set of installed packages: sha256 of their `package_lines` as a file."""
    return hashlib.sha256(_as_file(packages)).hexdigest()


def keep_package_list(marker: Mapping[str, Any], *, backend: str, results: Path) -> Path:
    """Keep the package list of an environment with the results that were measured in it.

    The file's sha256 is the `packages_sha256` that every result records, and its name has the
    first digits of it: results of two environments of one backend each find theirs.
    """
    short = packages_sha256(marker["packages"])[:12]
    path = results / "environment" / f"{backend}-{short}.txt"
    if not path.exists():
        write_atomically(path, _as_file(marker["packages"]))
    return path


def _as_file(packages: Mapping[str, str]) -> bytes:
    return "".join(f"{line}\n" for line in package_lines(packages)).encode()
