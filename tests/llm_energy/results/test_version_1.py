"""Results of schema version 1 are read as those of version 2, alone and beside them."""

import json
import shutil
from pathlib import Path

import pytest
from tests.llm_energy.make_results import design, make_result, put_result

from llm_energy.analysis.aggregate import aggregate
from llm_energy.analysis.decision import decide
from llm_energy.analysis.energy_uncertainty import combined, gross_budget, net_budget
from llm_energy.archive.known_jobs import read_results
from llm_energy.archive.verify import verify_results
from llm_energy.report.methods import methods
from llm_energy.results.result import ResultError, read_result
from llm_energy.workflow.invalid import invalid_results

OLD = Path(__file__).parent / "version_1"
EARLIER = Path(__file__).parents[1] / "protocol_2"
PATHS = sorted(path.relative_to(OLD).as_posix() for path in OLD.rglob("*.json"))
METERED = [path for path in PATHS if '"energy_joules": null' not in (OLD / path).read_text()]
DERIVED = ["energy.gain_limit_relative", "energy.offset_limit_watts"]


@pytest.fixture
def mixed(tmp_path) -> Path:
    """A campaign whose first cycle is of version 1 and whose second is of version 2."""
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    for path in PATHS:
        if "cycle-02" in path:
            put_result(tmp_path / path, read_result(OLD / path))
    return tmp_path


def summary_of(folder: Path):
    return aggregate(folder, planned=PATHS, design=design(cycles=2))


@pytest.mark.parametrize("path", METERED)
def test_the_uncertainties_are_those_that_the_file_holds(path):
    old, result = json.loads((OLD / path).read_text())["energy"], read_result(OLD / path)
    assert gross_budget(result) == pytest.approx(old["uncertainty_budget_joules"], rel=1e-12)
    assert combined(gross_budget(result)) == pytest.approx(old["standard_uncertainty_joules"])
    if budget := old["above_loaded_idle_budget_joules"]:
        assert net_budget(result) == pytest.approx(budget, rel=1e-12)


@pytest.mark.parametrize("path", METERED)
def test_the_limits_are_those_it_was_measured_with_and_are_named_as_derived(path):
    result = read_result(OLD / path)
    assert result.energy.gain_limit_relative == pytest.approx(0.05)
    assert result.energy.offset_limit_watts == pytest.approx(5.0)
    assert result.derived_on_reading == DERIVED


def test_results_without_energy_have_nothing_derived():
    for path in sorted(EARLIER.glob("measurements/*/*.json")):
        assert json.loads(path.read_text())["schema_version"] == 1
        result = read_result(path)
        assert (result.schema_version, result.derived_on_reading) == (2, [])
        assert result.energy.gain_limit_relative is None


def test_what_was_derived_is_in_no_file(tmp_path):
    put_result(tmp_path / "new.json", read_result(OLD / METERED[0]))
    assert "derived_on_reading" not in (tmp_path / "new.json").read_text()


@pytest.mark.parametrize("energy", [None, {}, {"energy_joules": 1.0}])
def test_what_is_not_of_version_1_is_refused(tmp_path, energy):
    content = json.loads(make_result().model_dump_json()) | {"schema_version": 1}
    (tmp_path / "bad.json").write_text(json.dumps(content | {"energy": energy}))
    with pytest.raises(ResultError, match="not of schema version 1"):
        read_result(tmp_path / "bad.json")


def test_old_and_new_results_give_the_tables_of_old_ones_alone(mixed):
    old, both = summary_of(OLD), summary_of(mixed)
    marked = both.measurements["derived_on_reading"] != ""
    assert marked.sum() == 2
    columns = [name for name in old.measurements.columns if name != "derived_on_reading"]
    assert both.measurements[columns].equals(old.measurements[columns])
    assert both.experiments.equals(old.experiments)
    assert both.findings.comparisons == old.findings.comparisons != []
    for folder in (mixed, OLD):
        assert not invalid_results(folder, PATHS, on_gpu=False, elsewhere=True).mendable


@pytest.mark.parametrize("folder", ["old", "mixed"])
def test_they_are_verified_and_decide_on_further_cycles(mixed, folder):
    campaign = {"old": OLD, "mixed": mixed}[folder]
    assert verify_results(campaign).problems == []
    first = [read_result(campaign / path) for path in PATHS[:2]]
    assert decide(first, 0.02).metric == "joules_per_output_token"
    assert dict(read_results(campaign)).keys() == set(PATHS)


def test_the_report_says_what_was_derived(mixed):
    text = " ".join(str(part) for part in methods(summary_of(mixed)))
    assert "2 of these measurements are of an older version" in text
    assert ", ".join(DERIVED) in text
