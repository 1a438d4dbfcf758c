"""Models from the hub, against a small hub on loopback that speaks its HTTP interface."""

import shutil
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy.inputs.hub_server import HubServer, Repository

from llm_energy.inputs import hub
from llm_energy.system.errors import ModelError

COMMIT = "a" * 40
WEIGHTS = bytes(range(256)) * 4096
TOKEN = "hf_abcdefghijklmnop"


@pytest.fixture
def repository(hub_server: HubServer) -> Repository:
    files = {
        "README.md": b"# Tiny",
        "config.json": b'{"model_type": "llama"}',
        "tokenizer.json": b"{}",
        "model.safetensors": WEIGHTS,
        "pytorch_model.bin": WEIGHTS,
        "onnx/model.onnx": WEIGHTS,
    }
    hub_server.repositories["org/tiny"] = Repository(files=files)
    return hub_server.repositories["org/tiny"]


def fetch(target: Path, commit: str = COMMIT, patterns: list[str] | None = None) -> list[str]:
    return list(hub.download("org/tiny", commit, patterns=patterns, target=target))


@pytest.mark.usefixtures("repository")
def test_only_the_needed_files_are_fetched(tmp_path: Path, hub_server: HubServer) -> None:
    assert fetch(tmp_path) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert (tmp_path / "files" / "model.safetensors").read_bytes() == WEIGHTS
    assert not hub_server.downloads("pytorch_model.bin")
    assert not hub_server.downloads("README.md")


@pytest.mark.usefixtures("repository")
def test_declared_patterns_choose_the_files(tmp_path: Path) -> None:
    assert fetch(tmp_path, patterns=["*.bin"]) == ["pytorch_model.bin"]


@pytest.mark.usefixtures("repository")
def test_what_is_there_already_needs_no_hub(tmp_path: Path, hub_server: HubServer) -> None:
    fetch(tmp_path)
    asked = len(hub_server.requests)
    assert fetch(tmp_path) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert len(hub_server.requests) == asked


def test_a_broken_download_goes_on_where_it_stopped(
    tmp_path: Path, hub_server: HubServer, repository: Repository
) -> None:
    large = WEIGHTS * 24  # huggingface_hub writes in steps of 10 MB
    repository.files["model.safetensors"] = large
    repository.break_after = 21_000_000
    fetch(tmp_path)
    first, second = hub_server.downloads("model.safetensors")
    assert "Range" not in first.headers
    start = int(second.headers["Range"].removeprefix("bytes=").rstrip("-"))
    assert 0 < start <= 21_000_000
    assert (tmp_path / "files" / "model.safetensors").read_bytes() == large


def test_a_file_that_arrives_damaged_is_refused_and_removed(
    tmp_path: Path, repository: Repository
) -> None:
    repository.damaged = {"model.safetensors"}
    with pytest.raises(ModelError, match=r"hub:org/tiny: model\.safetensors arrived damaged"):
        fetch(tmp_path)
    repository.damaged = set()
    fetch(tmp_path)


def test_small_files_are_checked_too(tmp_path: Path, repository: Repository) -> None:
    repository.damaged = {"config.json"}
    with pytest.raises(ModelError, match=r"config\.json arrived damaged"):
        fetch(tmp_path)


@pytest.mark.usefixtures("repository")
def test_a_file_that_was_changed_on_disk_is_refused(tmp_path: Path) -> None:
    fetch(tmp_path)
    path = tmp_path / "files" / "model.safetensors"
    path.write_bytes(bytes(len(WEIGHTS)))
    with pytest.raises(ModelError, match=r"model\.safetensors .* was changed on disk"):
        fetch(tmp_path)


@pytest.mark.parametrize("token", [None, "hf_ofsomebodyelse"])
def test_a_gated_model_is_refused_with_the_address_of_its_licence(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    repository.gated, repository.token = True, TOKEN
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(ModelError) as caught:
        hub.check_access("org/tiny", COMMIT)
    assert str(caught.value) == (
        "hub:org/tiny is gated: accept its licence at https://huggingface.co/org/tiny and set "
        "HF_TOKEN to a token of that account"
    )


def test_a_gated_model_is_refused_before_any_weights_are_fetched(
    tmp_path: Path, hub_server: HubServer, repository: Repository
) -> None:
    repository.gated = True
    with pytest.raises(ModelError, match="is gated"):
        fetch(tmp_path)
    assert not hub_server.downloads("model.safetensors")


def test_the_token_opens_a_gated_model_and_is_kept_nowhere(
    tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.gated, repository.token = True, TOKEN
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.check_access("org/tiny", COMMIT)
    fetch(tmp_path)
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or TOKEN.encode() not in path.read_bytes()


def test_a_private_or_unknown_model_is_refused(tmp_path: Path, repository: Repository) -> None:
    repository.private = True
    with pytest.raises(
        ModelError, match=r"hub:org/tiny does not exist or is private: check .*name"
    ):
        fetch(tmp_path)


@pytest.mark.usefixtures("repository")
def test_an_unknown_commit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"hub:org/tiny has no revision {'b' * 40}"):
        fetch(tmp_path, commit="b" * 40)


def test_a_hub_that_does_not_answer_is_reported_with_its_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9/")
    with pytest.raises(ModelError) as caught:
        hub.resolve("org/tiny", "main")
    message = str(caught.value)
    assert "the hub cannot be reached (ConnectError: [Errno 111] Connection refused)" in message
    assert "check the network and HF_ENDPOINT (http://127.0.0.1:9), then start again" in message


def test_no_traceback_leads_back_to_what_the_library_raised(
    repository: Repository, hub_server: HubServer
) -> None:
    repository.gated = True
    with pytest.raises(ModelError) as caught:
        hub.check_access("org/tiny", COMMIT)
    assert hub_server.address not in "".join(traceback.format_exception(caught.value))


def test_a_password_in_the_address_of_a_mirror_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://me:secret@127.0.0.1:9")
    with pytest.raises(ModelError, match="HF_ENDPOINT holds a password; take it out"):
        fetch(tmp_path)


@pytest.mark.usefixtures("repository")
def test_a_download_that_does_not_fit_is_refused_before_it_starts(
    tmp_path: Path, hub_server: HubServer
) -> None:
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(ModelError, match=r"needs [\d.]+ GB more, but the disk of .* has [\d.]+ GB"):
        hub.check_room(tmp_path, free + 10**12, what="hub:org/tiny")
    assert not hub_server.requests


@pytest.mark.usefixtures("repository")
def test_a_branch_is_resolved_to_its_full_commit_and_files() -> None:
    commit, files = hub.resolve("org/tiny", "main")
    assert commit == COMMIT
    assert files["model.safetensors"].size == len(WEIGHTS)
    assert files["model.safetensors"].sha256 is not None
    assert files["config.json"].sha256 is None
    assert "onnx" not in files


@pytest.mark.usefixtures("repository")
def test_without_a_branch_the_default_one_is_resolved() -> None:
    assert hub.resolve("org/tiny", None)[0] == COMMIT


TOKENS = st.from_regex(r"[A-Za-z0-9_]{8,40}", fullmatch=True)


@given(TOKENS, st.text(), st.text())
def test_no_text_shows_the_token(token: str, before: str, after: str) -> None:
    shown = hub.without_secrets(f"{before}{token}{after}", {"HF_TOKEN": token})
    assert token not in shown
    assert "\n" not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("with hf_abcdefghijklmnop here", "with *** here"),
        ("at https://me:secret@mirror/x now", "at https://***@mirror/x now"),
        ("https://cdn/x?Signature=abc&Key=1 failed", "https://cdn/x?*** failed"),
        ("two\nlines", "two lines"),
    ],
)
def test_other_secrets_are_not_shown_either(text: str, shown: str) -> None:
    assert hub.without_secrets(text, {}) == shown
