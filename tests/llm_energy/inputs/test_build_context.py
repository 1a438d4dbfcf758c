"""The files that an image is built from."""

import configparser
import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy.inputs.packages import build_wheel, requirement

from llm_energy.inputs.build_context import (
    PipSettings,
    pinned_wheels,
    pip_configuration,
    pip_settings,
    settings_from,
    write_context,
)

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


def test_only_distributions_are_looked_at(tmp_path: Path) -> None:
    for name in ("engine-1.0-py3-none-any.whl", "dill-0.4.1.tar.gz", "notes.txt"):
        (tmp_path / name).write_bytes(b"pinned")
    (tmp_path / "folder").mkdir()
    pinned = f"engine==1.0 --hash=sha256:{hashlib.sha256(b'pinned').hexdigest()}\n"
    names = [path.name for path in pinned_wheels(pinned, [tmp_path])]
    assert names == ["dill-0.4.1.tar.gz", "engine-1.0-py3-none-any.whl"]


def test_the_variable_wins_over_the_file_and_install_over_global() -> None:
    listed = (
        ":env:.index-url='https://third.example/simple'\n"
        "global.index-url='https://first.example/simple'\n"
        "install.index-url='https://second.example/simple'\n"
    )
    assert settings_from(listed, {}).options == {"index-url": ("https://third.example/simple",)}


def test_an_index_on_this_host_is_left_out() -> None:
    listed = "global.extra-index-url='file:///opt/simple https://a.example/simple'\n"
    settings = settings_from(listed, {})
    assert settings.options == {"extra-index-url": ("https://a.example/simple",)}


def test_what_means_nothing_in_an_image_is_left_out() -> None:
    listed = ":env:.disable-pip-version-check='1'\nglobal.constraint='/etc/constraints.txt'\n"
    assert settings_from(listed, {}).options == {}


def test_folders_with_wheels_are_reported_from_pages_with_links(tmp_path: Path) -> None:
    listed = f"global.find-links='\\n{tmp_path}\\nfile://{tmp_path}/a%20b\\nhttps://c.example/'\n"
    (tmp_path / "a b").mkdir()
    settings = settings_from(listed, {})
    assert settings.folders == (tmp_path, tmp_path / "a b")
    assert settings.options == {"find-links": ("https://c.example/",)}


def test_a_folder_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    assert settings_from(f"global.find-links='{tmp_path}/none'\n", {}).folders == ()


def test_a_line_that_is_no_setting_is_passed_over() -> None:
    listed = "WARNING: something\nglobal.index-url='https://a.example'\n"
    assert settings_from(listed, {}).options == {"index-url": ("https://a.example",)}


def test_certificates_are_the_declared_ones_or_those_that_a_variable_names(tmp_path: Path) -> None:
    first, second = tmp_path / "first.crt", tmp_path / "second.crt"
    first.touch()
    second.touch()
    variables = {"SSL_CERT_FILE": str(second)}
    assert settings_from(f"global.cert='{first}'\n", variables).certificates == first
    assert settings_from("", variables).certificates == second
    assert settings_from(f"global.cert='{tmp_path}/none'\n", variables).certificates == second


def test_they_are_read_from_the_pip_of_the_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://mine.example/simple")
    assert pip_settings().options["index-url"] == ("https://mine.example/simple",)
