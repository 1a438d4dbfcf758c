"""The common part of the jobs that make inputs ready."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llm_energy.campaign.declared_inputs import PathSource
from llm_energy.inputs.checksums import read_marker
from llm_energy.inputs.input_job import input_job
from llm_energy.inputs.recipes import ModelRecipe, as_text
from llm_energy.system.errors import InputError

RECIPE = ModelRecipe(PathSource(path="tiny.gguf"), {"format": "gguf"})


@pytest.fixture
def rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The object that Snakemake hands to a rule script."""
    monkeypatch.chdir(tmp_path)
    return SimpleNamespace(
        rule="model",
        input=[],
        output=[".cache/models/tiny-0123456789ab/ready.json"],
        log=["logs/models/tiny-0123456789ab.log"],
        params=SimpleNamespace(recipe=as_text(RECIPE)),
        scriptdir=str(tmp_path / "checkout" / "scripts"),
    )


def test_a_job_knows_its_recipe_its_folder_and_the_checkout(rule: Any, tmp_path: Path) -> None:
    with input_job(rule, ModelRecipe) as job:
        assert job.recipe == RECIPE
        assert job.target == Path(".cache/models/tiny-0123456789ab")
        assert job.root == tmp_path / "checkout"
        assert job.log.parent.is_dir()


def test_it_tells_when_it_begins_and_what_is_ready(
    rule: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with input_job(rule, ModelRecipe) as job:
        job.finish({"path": "files/tiny.gguf"}, "98 MB as gguf")
    assert capsys.readouterr().err.splitlines() == [
        "model tiny-0123456789ab: making it ready (log: logs/models/tiny-0123456789ab.log)",
        "model tiny-0123456789ab: ready after 0 s: 98 MB as gguf",
    ]
    assert read_marker(job.marker) == {"path": "files/tiny.gguf"}


def test_a_mistake_leaves_no_marker_and_is_reported_in_one_line(
    rule: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, input_job(rule, ModelRecipe) as job:
        raise InputError("the disk is full; make room")
    assert ended.value.code == 1
    assert capsys.readouterr().err.splitlines()[-1] == "model: the disk is full; make room"
    assert not job.marker.exists()
