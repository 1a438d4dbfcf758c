"""Want of memory is an outcome of an experiment: recorded once, never tried again, and shown."""

import csv
import re

import pytest

from llm_energy.results.result import read_result
from tests.integration.workflow import CAMPAIGN

pytestmark = pytest.mark.integration

SCARCE = CAMPAIGN | {
    "experiments": {
        "nap": {
            "axes": {"batch_size": [1]},
            "include": [
                {"batch_size": 2, "engine.sleep.wave_fault": "oom"},
                {"batch_size": 4, "engine.sleep.load_fault": "oom"},
            ],
        }
    }
}
FITS, WAVE, LOAD = "nap_batch1", "nap_batch2_wave-faultoom", "nap_batch4_load-faultoom"
WORDS = "MemoryError: the sleep engine was told to run out of memory"


@pytest.fixture(scope="module")
def scarce(ready_template, tmp_path_factory):
    """A tree in which one batch size runs out of memory while loading, and one in its waves."""
    tree = ready_template.copy(tmp_path_factory.mktemp("scarce") / "tree", SCARCE)
    done = tree.run()
    assert done.returncode == 0, done.stdout
    return tree, done.stdout


def outcomes(tree, experiment):
    found = [read_result(path) for path in tree.of(experiment)]
    assert len(found) == 2
    return found


def test_the_outcome_is_a_result_with_the_requested_settings(scarce):
    tree, _ = scarce
    for experiment, batch_size in ((WAVE, 2), (LOAD, 4)):
        for result in outcomes(tree, experiment):
            assert result.status == "out_of_memory"
            assert result.message.startswith(WORDS)
            assert result.settings.resolved["batch_size"] == batch_size
            unmeasured = (result.window, result.tokens, result.latency, result.warmup)
            assert unmeasured == (None, None, None, None)
            assert result.energy.energy_joules is None
    assert {result.status for result in outcomes(tree, FITS)} == {"completed"}


def test_it_says_how_far_it_came(scarce):
    tree, _ = scarce
    for result in outcomes(tree, WAVE):
        assert [phase.name for phase in result.phases] == ["load", "idle"]
        assert result.settings.observed["slots"] == 2
        assert result.process is not None
    for result in outcomes(tree, LOAD):
        assert (result.phases, result.settings.observed, result.process) == ([], {}, None)


def test_it_is_no_failure_and_is_not_tried_again(scarce):
    tree, _ = scarce
    lost = outcomes(tree, WAVE) + outcomes(tree, LOAD)
    assert {result.attempt for result in lost} == {1}
    assert not (tree.folder / "results/nap/failures").exists()
    assert tree.planned() == 0


def test_the_engine_is_not_used_again_after_it(scarce):
    tree, _ = scarce
    assert not any(r.process.engine_reused for r in outcomes(tree, FITS) + outcomes(tree, WAVE))


def test_the_run_and_the_report_say_it(scarce):
    tree, output = scarce
    assert output.count("out of memory (recorded)") == 4
    assert "nap: 6 of 6 measurements, 4 of them out of memory" in output
    page = (tree.folder / "results/nap/report.html").read_text()
    assert "6 of 6 measurements, 4 of them out of memory" in page
    assert page.count(WORDS) >= 2
    for moment in ("loading", "generating"):
        assert re.search(rf"<td[^>]*>{moment}</td>", page)


def test_the_tables_keep_its_rows_without_a_number(scarce):
    tree, _ = scarce
    with (tree.folder / "results/nap/summary/measurements.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "out_of_memory"]
    assert len(rows) == 4
    assert {row["output_tokens_per_second"] for row in rows} == {""}
    assert all(row["message"].startswith(WORDS) for row in rows)
    figures = (tree.folder / "results/nap/figures/throughput.svg").read_text()
    assert figures.count(">out of memory<") == 2
