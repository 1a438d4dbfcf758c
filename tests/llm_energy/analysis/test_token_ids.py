"""Results of one specification with two sets of token ids: they are named, and none is added."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.llm_energy import make_results
from tests.llm_energy.make_results import put_result

from llm_energy.analysis.campaign_flags import with_campaign_flags
from llm_energy.archive.verify import verify_results
from llm_energy.measurement.token_id_check import refuse_other_token_ids
from llm_energy.results.result import read_result
from llm_energy.runs.run import Run
from llm_energy.system.errors import PromptError

OTHER = "e" * 64
SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture
def paths(tmp_path):
    """The results of one specification; the last was measured on another day."""
    made = make_results.make_campaign(tmp_path, cycles=3)
    own = sorted(tmp_path / path for path in made if path.startswith(made[0].rpartition("/")[0]))
    last = read_result(own[-1])
    prompts = last.prompts.model_copy(update={"sha256": OTHER})
    put_result(own[-1], last.model_copy(update={"prompts": prompts}))
    return own


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run that adds to those results."""
    monkeypatch.chdir(tmp_path)
    run = Run.create(campaign="c", results=Path(), scripts=SCRIPTS)
    yield run
    run.remove()


def job(paths):
    return SimpleNamespace(
        experiment=SimpleNamespace(prompts="short", spec_hash=paths[0].parent.name)
    )


def test_a_result_with_other_token_ids_has_a_flag(paths):
    flagged = with_campaign_flags([read_result(path) for path in paths], [], margin=0.02)
    codes = [[f.code for f in result.flags if f.code == "other_token_ids"] for result in flagged]
    assert codes == [[], [], ["other_token_ids"]]


def test_verify_names_a_result_with_other_token_ids(paths, tmp_path):
    first, _, last = (path.relative_to(tmp_path).as_posix() for path in paths)
    assert (
        f"{last}: its prompts have other token ids than those of {first}, a result of the same "
        "specification"
    ) in verify_results(tmp_path).problems


def test_no_measurement_of_other_token_ids_is_added(paths, run):
    paths[-1].write_text("{")  # a damaged one is named elsewhere
    sha256 = read_result(paths[0]).prompts.sha256
    for _ in range(2):
        refuse_other_token_ids(run, job(paths), sha256)
        with pytest.raises(PromptError, match="prompts short have other token ids"):
            refuse_other_token_ids(run, job(paths), OTHER)


def test_a_result_that_came_since_counts(paths, run):
    last, sha256 = paths[-1].read_bytes(), read_result(paths[0]).prompts.sha256
    for missing in (lambda: paths[-1].unlink(), lambda: paths[-1].write_text("{")):
        missing()
        refuse_other_token_ids(run, job(paths), sha256)
        paths[-1].write_bytes(last)
        with pytest.raises(PromptError, match="cycle-03"):
            refuse_other_token_ids(run, job(paths), sha256)


def test_a_run_reads_each_result_once(paths, run, monkeypatch):
    """With many cycles, reading all for each attempt would take longer and longer."""
    paths[-1].unlink()
    read, read_bytes = [], Path.read_bytes

    def noted(path):
        read.append(path)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", noted)
    for _ in range(3):
        refuse_other_token_ids(run, job(paths), read_result(paths[0]).prompts.sha256)
    own = [path for path in read if path in paths]
    assert own.count(paths[1]) == 1


def test_an_anchor_counts_as_a_result_of_its_specification(paths, tmp_path, run):
    anchor = tmp_path / "anchors" / paths[0].relative_to(tmp_path / "measurements")
    anchor.parent.mkdir(parents=True)
    for path in paths[1:]:
        path.unlink()
    paths[0].rename(anchor)
    with pytest.raises(PromptError, match="anchors/"):
        refuse_other_token_ids(run, job(paths), OTHER)
