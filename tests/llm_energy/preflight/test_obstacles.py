"""Obstacles in a campaign's inputs are found before a run spends minutes on making them."""

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests import damaged
from tests.llm_energy.inputs.hub_server import HubServer, Repository
from tests.llm_energy.inputs.interpreters import interpreter
from tests.llm_energy.make_campaigns import BASE, COMMIT, SHA, load, make_checkout

from llm_energy.inputs.checksums import write_marker
from llm_energy.inputs.environment import packages_sha256
from llm_energy.inputs.models import OF_A_MODEL
from llm_energy.inputs.recipes import campaign_recipes
from llm_energy.preflight.obstacles import obstacles
from llm_energy.system.cache import environment_marker, model_marker, prompts_marker


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / ".cache"


def found(tmp_path: Path, cache: Path, **changes: Any) -> list[str]:
    config = {**copy.deepcopy(BASE), **changes}
    root = make_checkout(tmp_path / "checkout")
    return obstacles(campaign_recipes(load(root, config), root), cache=cache)


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
def test_a_model_that_is_ready_or_being_fetched_is_not_looked_up(
    tmp_path: Path, cache: Path, hub_server: HubServer, file: str
) -> None:
    config = {**copy.deepcopy(BASE), "models": on_the_hub()}
    root = make_checkout(tmp_path / "checkout")
    inputs = campaign_recipes(load(root, config), root)
    for name in inputs.models:
        (cache / "models" / name).mkdir(parents=True)
        (cache / "models" / name / file).write_text(json.dumps(dict.fromkeys(OF_A_MODEL)))
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


def in_image(tmp_path: Path, cache: Path, **backend: Any) -> list[str]:
    """Obstacles of a campaign whose backend runs in a container, none of which was made yet."""
    root = make_checkout(tmp_path / "checkout")
    (root / "envs" / "toy" / "Dockerfile").write_text("ARG BASE=debian\nFROM ${BASE}\n")
    recipe = root / "envs" / "debian" / "make-base.sh"
    recipe.parent.mkdir()
    recipe.write_text("a recipe of the test's own\n")
    toy = {"runtime": "docker", **backend}
    config = {**copy.deepcopy(BASE), "backends": {"toy": toy, "boxy": {}}}
    return obstacles(campaign_recipes(load(root, config), root), cache=cache)


def test_an_engine_that_does_not_answer_is_reported_once(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    (line,) = in_image(tmp_path, cache)
    assert line.startswith(f"the Docker engine does not answer at {tmp_path}/none.sock; ")


def test_a_campaign_of_processes_does_not_ask_for_docker(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///none.sock")
    monkeypatch.setitem(sys.modules, "docker", None)
    assert found(tmp_path, cache) == []


@pytest.mark.usefixtures("engine")
def test_an_image_that_can_be_built_or_pulled_is_no_obstacle(tmp_path: Path, cache: Path) -> None:
    assert in_image(tmp_path / "built", cache) == []
    image = f"registry.invalid/toy@sha256:{SHA['a']}"
    assert in_image(tmp_path / "pulled", cache, environment={"image": image}) == []


@pytest.mark.usefixtures("engine")
def test_an_id_of_no_image(tmp_path: Path, cache: Path) -> None:
    (line,) = in_image(tmp_path, cache, environment={"image": f"sha256:{SHA['a']}"})
    assert line.startswith("backends.toy.environment.image: this machine has no image sha256:aaa")


@pytest.mark.usefixtures("engine")
def test_an_image_that_was_removed_since(tmp_path: Path, cache: Path) -> None:
    root = make_checkout(tmp_path / "checkout")
    image = f"sha256:{SHA['a']}"
    toy = {"runtime": "docker", "environment": {"image": image}}
    inputs = campaign_recipes(load(root, {**copy.deepcopy(BASE), "backends": {"toy": toy}}), root)
    (name,) = inputs.environments
    marker = cache / "environments" / name / "ready.json"
    write_marker(marker, {"image": image, "reference": "mine"})
    (line,) = obstacles(inputs, cache=cache)
    assert line == (
        "the image mine of backend toy is gone from this machine; "
        f"remove {marker} and start the same command again"
    )


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("tools", "user", "told"),
    [
        (False, 0, "base: debian is made with debootstrap, which is missing: sudo apt-get install"),
        (True, 1000, "base: debian has to be made by root, once: sudo envs/debian/make-base.sh"),
    ],
)
def test_a_base_that_this_user_cannot_make(
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    tools: bool,
    user: int,
    told: str,
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setattr("shutil.which", lambda tool, **_: tool if tools else None)
    (line,) = in_image(tmp_path, cache, base="debian")
    assert line.startswith(told)


def test_a_ready_environment_whose_interpreter_is_gone(tmp_path: Path, cache: Path) -> None:
    root = make_checkout(tmp_path / "checkout")
    plans = campaign_recipes(load(root, copy.deepcopy(BASE)), root)
    marker = environment_marker(next(iter(plans.environments)), cache)
    write_marker(marker, {"python": sys.executable})
    assert obstacles(plans, cache=cache) == []
    write_marker(marker, {"python": "/nowhere/bin/python"})
    assert obstacles(plans, cache=cache) == [
        f"/nowhere/bin/python is gone; remove {marker} and start the same command again"
    ]


def test_prompts_that_another_campaign_made_ready_must_fit_this_one(
    tmp_path: Path, cache: Path
) -> None:
    root = make_checkout(tmp_path / "checkout")
    plans = campaign_recipes(load(root, copy.deepcopy(BASE)), root)
    ((name, plan),) = plans.prompts.items()
    most = plan.room.context_tokens - plan.room.output_tokens
    write_marker(prompts_marker(name, cache), {"input_tokens": {"maximum": most}})
    assert obstacles(plans, cache=cache) == []
    write_marker(prompts_marker(name, cache), {"input_tokens": {"maximum": most + 1}})
    (line,) = obstacles(plans, cache=cache)
    assert line.startswith(f"a prompt of {most + 1} tokens does not fit the experiments with ")


def test_a_hub_that_cannot_be_reached_is_queried_once(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(_: float) -> None:
        raise AssertionError("it waits to ask again")

    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9/")
    monkeypatch.setattr("time.sleep", again)
    (line,) = found(tmp_path, cache, models=on_the_hub())
    assert "the hub cannot be reached" in line


@pytest.mark.parametrize("harm", [*damaged.NO_FILE, *damaged.NO_RECORD], ids=lambda h: h.__name__)
@pytest.mark.parametrize("kind", ["environments", "models", "prompts"])
def test_a_marker_that_is_damaged_is_one_line_with_its_remedy(
    tmp_path: Path, cache: Path, kind: str, harm: Callable[[Path], None]
) -> None:
    marker_of = {
        "environments": environment_marker,
        "models": model_marker,
        "prompts": prompts_marker,
    }
    root = make_checkout(tmp_path / "checkout")
    plans = campaign_recipes(load(root, copy.deepcopy(BASE)), root)
    marker = marker_of[kind](next(iter(getattr(plans, kind))), cache)
    damaged.replace(marker, harm)
    lines = obstacles(plans, cache=cache)
    if harm is damaged.link_to_nowhere:  # as one that is missing: it is made
        assert lines == []
    else:
        (line,) = lines
        assert line.startswith(f"{marker} is damaged (")
        assert line.endswith("); remove it and start the same command again")
