"""The common part of the jobs that make inputs ready."""

import os
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llm_energy.campaign.declared_inputs import HubSource, PathSource, ShippedPrompts
from llm_energy.inputs.checksums import write_marker
from llm_energy.inputs.input_job import InputJob, Made, input_job
from llm_energy.inputs.recipes import (
    EnvironmentRecipe,
    ModelRecipe,
    PromptsRecipe,
    Recipe,
    as_text,
)
from llm_energy.inputs.token_length import Room
from llm_energy.system.cache import read_marker
from llm_energy.system.errors import InputError, PromptError

MARKER = Path(".cache/models/tiny-0123456789ab/ready.json")
RECIPE = ModelRecipe(HubSource(hub="someone/tiny"), {"format": "gguf"})
OWN = ModelRecipe(PathSource(path="tiny.gguf"), {"format": "gguf"})
FETCHED = {"path": "files/tiny.gguf"}


@pytest.fixture
def rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The object that Snakemake hands to a rule script."""
    monkeypatch.chdir(tmp_path)
    return SimpleNamespace(
        rule="model",
        input=[],
        output=[str(MARKER)],
        log=["logs/models/tiny-0123456789ab.log"],
        params=SimpleNamespace(recipe=as_text(RECIPE), planned_s=time.time() - 1.0),
        scriptdir=str(tmp_path / "checkout" / "scripts"),
    )


def fetched(_job: InputJob[ModelRecipe]) -> Made:
    return FETCHED, "98 MB as gguf"


def fails(_job: InputJob[Any]) -> Made:
    raise InputError("the disk is full; make room")


def refusal(rule: Any, kind: type[Recipe], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        input_job(rule, kind, fails)
    assert ended.value.code == 1
    return capsys.readouterr().err.splitlines()[-1]


def test_a_job_knows_its_recipe_its_folder_and_the_checkout(rule: Any, tmp_path: Path) -> None:
    def look(job: InputJob[ModelRecipe]) -> Made:
        assert job.recipe == RECIPE
        assert job.target == MARKER.parent
        assert job.root == tmp_path / "checkout"
        assert job.log.parent.is_dir()
        return {"path": "looked"}, ""

    input_job(rule, ModelRecipe, look)
    assert read_marker(MARKER) == {"path": "looked"}


def test_it_tells_when_it_begins_and_what_is_ready(
    rule: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    input_job(rule, ModelRecipe, fetched)
    begun, ready = capsys.readouterr().err.splitlines()
    assert begun == (
        "model tiny-0123456789ab: making it ready (log: logs/models/tiny-0123456789ab.log)"
    )
    assert re.fullmatch(r"model tiny-0123456789ab: ready after \d+ s: 98 MB as gguf", ready)
    assert read_marker(MARKER) == FETCHED


def test_a_mistake_leaves_no_marker_and_is_reported_in_one_line(
    rule: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    write_marker(MARKER, FETCHED)
    os.utime(MARKER, (0, 0))  # as of an earlier run: what it describes could not be made again
    assert refusal(rule, ModelRecipe, capsys) == "model: the disk is full; make room"
    assert not MARKER.exists()


def test_what_another_run_has_made_since_the_job_was_planned_is_left_alone(
    rule: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    write_marker(MARKER, FETCHED)
    before = MARKER.stat()
    input_job(rule, ModelRecipe, fails)
    after = MARKER.stat()  # it was read, by which the second of its access may change
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "model tiny-0123456789ab: another run has made it ready meanwhile"


def test_a_model_of_ones_own_is_looked_at_where_this_campaign_has_it(rule: Any) -> None:
    write_marker(MARKER, {"path": "/elsewhere/tiny.gguf"})
    rule.params.recipe = as_text(OWN)
    input_job(rule, ModelRecipe, lambda _job: ({"path": "/here/tiny.gguf"}, ""))
    assert read_marker(MARKER) == {"path": "/here/tiny.gguf"}


def test_token_ids_outlive_a_job_that_fails(rule: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """They are all that their marker says, and another campaign may read them."""
    prompts = Path(".cache/prompts/p/prompts.json")
    write_marker(prompts, {"input_tokens": {"maximum": 9}, "token_ids": [[1]]})
    os.utime(prompts, (0, 0))
    declared = ShippedPrompts(shipped="everyday", limit=1)
    recipe = PromptsRecipe(declared, {"sha256": "0"}, "toy", "e", "m", Room(10, 1))
    rule.output, rule.params.recipe = [str(prompts)], as_text(recipe)
    refusal(rule, PromptsRecipe, capsys)
    assert prompts.exists()


def test_a_recipe_accepts_what_is_the_same_wherever_it_was_made() -> None:
    venv = EnvironmentRecipe("toy", {}, "venv", "envs/toy", "cpu")
    own = EnvironmentRecipe("toy", {}, "interpreter", "envs/toy", "cpu", python="/a/python")
    assert venv.accepts({"kind": "venv"})
    assert not venv.accepts({"kind": "interpreter"})
    assert not own.accepts({"kind": "interpreter"})
    assert RECIPE.accepts(FETCHED)
    assert not RECIPE.accepts({"path": "/own/tiny.gguf"})
    assert not OWN.accepts(FETCHED)


def test_prompts_of_another_run_must_fit_this_campaign_too() -> None:
    declared = ShippedPrompts(shipped="everyday", limit=1)
    recipe = PromptsRecipe(declared, {}, "toy", "e", "m", Room(context_tokens=16, output_tokens=8))
    assert recipe.accepts({"input_tokens": {"maximum": 8}})
    with pytest.raises(PromptError, match="does not fit"):
        recipe.accepts({"input_tokens": {"maximum": 9}})
