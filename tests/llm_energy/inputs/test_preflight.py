"""What is known of a campaign's inputs before a run spends minutes on making them."""

import copy
from pathlib import Path
from typing import Any

import pytest
from hub_server import HubServer, Repository
from interpreters import interpreter
from make_campaigns import BASE, COMMIT, SHA, load, make_checkout

from llm_energy.inputs.environment import packages_sha256
from llm_energy.inputs.plan import plan_inputs
from llm_energy.inputs.preflight import obstacles


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / ".cache"


def found(tmp_path: Path, cache: Path, **changes: Any) -> list[str]:
    config = {**copy.deepcopy(BASE), **changes}
    root = make_checkout(tmp_path / "checkout")
    return obstacles(plan_inputs(load(root, config), root), cache=cache)


def local(path: Path) -> dict[str, Any]:
    return {"small": {"source": {"path": str(path), "sha256": SHA["a"]}}}


def on_the_hub() -> dict[str, Any]:
    source = {"hub": "org/m", "revision": COMMIT, "files": ["m.gguf"]}
    return {"small": {"source": source}}


def test_a_campaign_whose_inputs_can_all_be_had_has_none(tmp_path: Path, cache: Path) -> None:
    assert found(tmp_path, cache) == []


def test_a_local_model_that_is_not_there(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "none.gguf"
    expected = [f"model path {path} does not exist; correct `path`"]
    assert found(tmp_path, cache, models=local(path)) == expected


def test_a_gated_model(tmp_path: Path, cache: Path, hub_server: HubServer) -> None:
    files = {"m.gguf": b"GGUF"}
    hub_server.repositories["org/m"] = Repository(files, commit=COMMIT, gated=True)
    (line,) = found(tmp_path, cache, models=on_the_hub())
    assert "accept its licence at https://huggingface.co/org/m" in line


def test_a_model_that_is_open_is_no_obstacle(
    tmp_path: Path, cache: Path, hub_server: HubServer
) -> None:
    hub_server.repositories["org/m"] = Repository({"m.gguf": b"GGUF"}, commit=COMMIT)
    assert found(tmp_path, cache, models=on_the_hub()) == []
    assert not hub_server.downloads("m.gguf")


@pytest.mark.parametrize("file", ["ready.json", "listing.json"])
def test_a_model_that_is_ready_or_being_fetched_is_not_asked_for(
    tmp_path: Path, cache: Path, hub_server: HubServer, file: str
) -> None:
    config = {**copy.deepcopy(BASE), "models": on_the_hub()}
    root = make_checkout(tmp_path / "checkout")
    inputs = plan_inputs(load(root, config), root)
    for name in inputs.models:
        (cache / "models" / name).mkdir(parents=True)
        (cache / "models" / name / file).touch()
    assert obstacles(inputs, cache=cache) == []
    assert not hub_server.requests


def test_an_interpreter_that_is_not_there(tmp_path: Path, cache: Path) -> None:
    own = {"environment": {"python": "/none/bin/python", "packages_sha256": SHA["a"]}}
    expected = ["/none/bin/python: no such interpreter; correct backends.toy"]
    assert found(tmp_path, cache, backends={"toy": own}) == expected


def test_an_interpreter_whose_packages_changed_since_they_were_pinned(
    tmp_path: Path, cache: Path
) -> None:
    python = interpreter(tmp_path, packages={"engine": "1.1"})
    pinned = packages_sha256({"engine": "1.0"})
    own = {"environment": {"python": str(python), "packages_sha256": pinned}}
    (line,) = found(tmp_path, cache, backends={"toy": own})
    assert f"declared is {pinned}; restore them, or pin the new ones" in line
