"""Environments that engines run in."""

import hashlib
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy.inputs.interpreters import interpreter
from tests.llm_energy.inputs.packages import build_wheel, only_from, requirement

from llm_energy.inputs.environment import (
    check_packages,
    describe,
    installed_packages,
    keep_package_list,
    own_interpreter,
    package_list,
    packages_sha256,
)
from llm_energy.inputs.packages import install
from llm_energy.system.errors import InputError

NAMES = st.text("abcXY-_.", min_size=1, max_size=6).filter(lambda name: name[0].isalpha())
PACKAGES = st.dictionaries(NAMES, st.from_regex(r"\d\.\d", fullmatch=True))
Requirements = Callable[..., Path]


def pinned(folder: Path, index: Path, **versions: str) -> Path:
    """A requirements file below `folder` with `name==version` pinned by hash, and the wheels."""
    lines = [
        requirement(build_wheel(index, name, v, {f"{name}.py": f"V = '{v}'\n".encode()}))
        for name, v in versions.items()
    ]
    path = folder / "envs" / "toy" / "requirements.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines))
    return path


@pytest.fixture
def requirements(tmp_path: Path, index: Path) -> Requirements:
    return partial(pinned, tmp_path, index)


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a venv with engine 1.0 and helper 2.5. Not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as environment:
        only_from(folder / "index", environment)
        pins = pinned(folder, folder / "index", engine="1.0", helper="2.5")
        return install(pins, folder / "venv", log=folder / "log")


@pytest.fixture
def own_venv(venv: Path, tmp_path: Path) -> Path:
    """The folder of a copy of it that a test may change."""
    subprocess.run(["cp", "-a", str(venv.parents[1]), str(tmp_path / "venv")], check=True)
    return tmp_path / "venv"


def version_of(python: Path, module: str) -> str:
    code = f"import {module}; print({module}.V)"
    return subprocess.check_output([python, "-c", code], text=True).strip()


def test_a_venv_has_the_pinned_packages_and_no_pip(venv: Path) -> None:
    assert version_of(venv, "engine") == "1.0"
    assert version_of(venv, "helper") == "2.5"
    without_pip = subprocess.run([venv, "-c", "import pip"], capture_output=True)
    assert without_pip.returncode != 0


def test_a_complete_venv_is_kept(own_venv: Path, requirements: Requirements, log: Path) -> None:
    (own_venv / "kept").touch()
    pins = requirements(engine="1.0", helper="2.5")
    assert install(pins, own_venv, log=log) == own_venv / "bin" / "python"
    assert (own_venv / "kept").exists()


def test_what_an_interrupted_installation_left_is_replaced(
    own_venv: Path, requirements: Requirements, log: Path
) -> None:
    (own_venv / "leftover").touch()
    (own_venv / "installed").unlink()
    python = install(requirements(engine="1.0", helper="2.5"), own_venv, log=log)
    assert version_of(python, "helper") == "2.5"
    assert not (own_venv / "leftover").exists()


def test_other_pins_make_another_venv(
    own_venv: Path, requirements: Requirements, log: Path
) -> None:
    python = install(requirements(engine="1.1"), own_venv, log=log)
    assert version_of(python, "engine") == "1.1"


def test_a_wheel_that_is_not_the_pinned_one_is_refused(
    tmp_path: Path, requirements: Requirements, index: Path, log: Path
) -> None:
    pins = requirements(engine="1.0")
    build_wheel(index, "engine", "1.0", {"engine.py": b"V = 'another'\n"})
    with pytest.raises(InputError, match=r"toy/requirements.txt: engine==1.0 .*not the file that"):
        install(pins, tmp_path / "venv", log=log)
    assert not (tmp_path / "venv" / "installed").exists()


def test_a_package_that_the_index_lacks_is_named(
    tmp_path: Path, requirements: Requirements, index: Path, log: Path
) -> None:
    pins = requirements(engine="1.0")
    (index / "engine-1.0-py3-none-any.whl").unlink()
    with pytest.raises(InputError, match=r"the package index has no engine==1\.0 for Python 3"):
        install(pins, tmp_path / "venv", log=log)


def test_requirements_without_hashes_are_refused(
    tmp_path: Path, requirements: Requirements, log: Path
) -> None:
    pins = requirements(engine="1.0")
    pins.write_text("engine==1.0\n")
    with pytest.raises(InputError, match=r"--require-hashes"):
        install(pins, tmp_path / "venv", log=log)


def test_an_interpreter_that_is_not_there_is_reported_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"bin/python: no such interpreter; correct backends\.toy"):
        own_interpreter(str(tmp_path / "bin" / "python"), "toy")


def test_an_environment_is_described_by_its_worker_and_its_packages(
    tmp_path: Path, log: Path
) -> None:
    python = interpreter(tmp_path, packages={"engine": "1.0"})
    assert describe(own_interpreter(str(python), "toy"), "toy", log=log) == {
        "python_version": "3.11.7",
        "engine_version": "1.0",
        "packages": {"engine": "1.0"},
    }


def test_packages_are_listed_without_starting_the_engine(venv: Path) -> None:
    assert installed_packages(own_interpreter(str(venv), "toy")) == {
        "engine": "1.0",
        "helper": "2.5",
    }


def test_an_interpreter_that_does_not_work_is_refused() -> None:
    with pytest.raises(InputError, match="/bin/false: not a Python interpreter that works"):
        installed_packages(own_interpreter("/bin/false", "toy"))


def test_packages_that_are_not_the_pinned_ones_are_refused() -> None:
    packages = {"engine": "1.0"}
    check_packages("python", packages, declared=packages_sha256(packages))
    with pytest.raises(InputError, match=f"packages_sha256 .*, declared is {'0' * 64}; restore"):
        check_packages("python", packages, declared="0" * 64)


@given(PACKAGES)
def test_the_spelling_of_names_does_not_change_the_checksum(packages: dict[str, str]) -> None:
    other = {name.upper().replace("_", "-"): version for name, version in packages.items()}
    if len(package_list(other).splitlines()) == len(packages):
        assert packages_sha256(other) == packages_sha256(packages)


@given(PACKAGES)
def test_another_version_changes_the_checksum(packages: dict[str, str]) -> None:
    newer = {name: f"{version}.1" for name, version in packages.items()}
    assert (packages_sha256(newer) == packages_sha256(packages)) == (not packages)


def test_the_kept_list_is_found_and_checked_by_the_checksum_of_a_result(tmp_path: Path) -> None:
    packages = {"Engine_X": "1.0", "abc": "2"}
    path = keep_package_list(packages, backend="toy", results=tmp_path)
    assert path.read_text() == "abc==2\nengine-x==1.0\n"
    checksum = packages_sha256(packages)
    assert path == tmp_path / "environment" / f"toy-{checksum[:12]}.txt"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == checksum
