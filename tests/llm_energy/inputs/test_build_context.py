"""The files that an image is built from."""

import configparser
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy.inputs.packages import build_wheel, requirement

from llm_energy.inputs.build_context import named, pip_configuration, write_context
from llm_energy.inputs.pip_settings import PipSettings

NOTHING = PipSettings(options={}, folders=(), certificates=None)
ADDRESSES = st.lists(st.from_regex(r"https://[a-z%:@]{1,9}/simple", fullmatch=True), min_size=1)


@pytest.fixture
def dockerfile(tmp_path: Path) -> Path:
    path = tmp_path / "Dockerfile"
    path.write_text("FROM scratch\n")
    return path


def written(files: list[Path], settings: PipSettings) -> dict[str, bytes]:
    """Content of each file of a context."""
    file = io.BytesIO()
    write_context(file, files, settings)
    file.seek(0)
    with tarfile.open(fileobj=file) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive}  # type: ignore[union-attr]


def test_only_pinned_wheels_go_in(tmp_path: Path, dockerfile: Path) -> None:
    index = tmp_path / "index"
    wanted = build_wheel(index, "engine", "1.0", {"engine.py": b""})
    build_wheel(index, "engine", "1.1", {"engine.py": b""})
    build_wheel(index, "other", "1.0", {"other.py": b""})
    (index / "README.txt").touch()
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"# pinned\n{requirement(wanted)}")
    settings = PipSettings(options={}, folders=(index,), certificates=None)
    content = written([dockerfile, requirements], settings)
    assert {name for name in content if "/" in name} == {f"wheelhouse/{wanted.name}"}
    assert content[f"wheelhouse/{wanted.name}"] == wanted.read_bytes()


def test_a_wheel_with_another_hash_stays_out(tmp_path: Path, dockerfile: Path) -> None:
    index = tmp_path / "index"
    pinned = requirement(build_wheel(index, "engine", "1.0", {"engine.py": b""}))
    build_wheel(index, "engine", "1.0", {"engine.py": b"changed"})
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(pinned)
    settings = PipSettings(options={}, folders=(index,), certificates=None)
    assert not [n for n in written([dockerfile, requirements], settings) if "wheelhouse" in n]


def test_an_image_without_requirements_gets_its_dockerfile_only(
    tmp_path: Path, dockerfile: Path
) -> None:
    settings = PipSettings(options={}, folders=(tmp_path,), certificates=dockerfile)
    assert written([dockerfile], settings) == {"Dockerfile": b"FROM scratch\n"}


def test_certificates_go_in_and_pip_is_given_them(tmp_path: Path, dockerfile: Path) -> None:
    (tmp_path / "requirements.txt").touch()
    (tmp_path / "mine.crt").write_text("trust")
    settings = PipSettings(options={}, folders=(), certificates=tmp_path / "mine.crt")
    content = written([dockerfile, tmp_path / "requirements.txt"], settings)
    assert content["ca-bundle.crt"] == b"trust"
    assert "cert = /context/ca-bundle.crt" in content["pip.conf"].decode()


def test_a_context_does_not_tell_the_host(dockerfile: Path) -> None:
    """Equal files make equal contexts, or the engine would build again what it has."""
    first, second = io.BytesIO(), io.BytesIO()
    write_context(first, [dockerfile], NOTHING)
    dockerfile.chmod(0o600)
    dockerfile.touch()
    write_context(second, [dockerfile], NOTHING)
    assert first.getvalue() == second.getvalue()


@given(ADDRESSES)
def test_pip_reads_the_addresses_as_they_were(addresses: list[str]) -> None:
    settings = PipSettings(
        options={"extra-index-url": tuple(addresses)}, folders=(), certificates=None
    )
    parser = configparser.RawConfigParser()
    parser.read_string(pip_configuration(settings))
    assert parser["global"]["extra-index-url"].split() == addresses
    assert parser["global"]["find-links"] == "/context/wheelhouse"


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl", ("torch", "2.13.0+cpu")),
        ("Typing_Extensions-4.0-py3-none-any.whl", ("typing-extensions", "4.0")),
        ("dill-0.4.1.tar.gz", ("dill", "0.4.1")),
        ("notes.txt", None),
        ("broken.whl", None),
        ("folder", None),
    ],
)
def test_a_distribution_is_known_by_its_file_name(
    file: str, expected: tuple[str, str] | None
) -> None:
    assert named(Path(file)) == expected
