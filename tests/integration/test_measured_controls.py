"""Controls through the whole workflow: measured beside the experiments, and kept apart."""

import copy
import csv
import json
import tarfile
from dataclasses import replace
from itertools import groupby

import pytest

from llm_energy.power.series_file import read_series
from llm_energy.results.result import read_result
from tests.integration.gpus import powered_tree
from tests.integration.workflow import CAMPAIGN, finished
from tests.nvml_simulator.fixtures import nvml_library
from tests.nvml_simulator.scenario import Gpu, constant, with_uuid

__all__ = ["nvml_library"]

pytestmark = pytest.mark.integration

A_A, SAMPLER_OFF = "nap_batch2.a_a", "nap_batch2.sampler_off"


@pytest.fixture(scope="module")
def controlled(ready_template, tmp_path_factory):
    """Two experiments with both measured controls, in three cycles, measured to the end."""
    campaign = copy.deepcopy(CAMPAIGN) | {
        "cycles": 3,
        "reference": "nap_batch2",
        "controls": {"a_a": True, "sampler_off": True},
    }
    tree = ready_template.copy(tmp_path_factory.mktemp("controls") / "tree", campaign)
    tree.printed = tree.run(check=True).stdout
    return tree


def findings_of(tree):
    return json.loads((tree.folder / "results/nap/summary/summary.json").read_text())


def results_of(tree):
    return sorted(map(read_result, tree.results()), key=lambda result: result.position)


def test_each_is_measured_once_in_every_cycle(controlled):
    names = {"nap_batch1", "nap_batch2", A_A, SAMPLER_OFF}
    blocks = groupby(finished(controlled.printed), key=lambda pair: pair[1])
    assert [{name for name, _ in block} for _, block in blocks] == [names] * 3


def test_the_a_a_control_never_shares_an_engine_process(controlled):
    for result in results_of(controlled):
        if result.experiment == A_A:
            assert result.process.engine_jobs == 0
        if result.experiment == SAMPLER_OFF:
            assert result.settings.resolved["batch_size"] == 2
    before = None
    for result in results_of(controlled):
        assert not (before == A_A and result.process.engine_reused)
        before = result.experiment


def test_the_report_shows_them_and_nothing_else_knows_of_them(controlled):
    findings = findings_of(controlled)
    assert [(f["kind"], f["metric"], f["pairs"]) for f in findings["controls"]] == [
        ("a_a", "output_tokens_per_second", 3),
        ("sampler_off", "output_tokens_per_second", 0),
    ]
    assert findings["controls"][0]["verdict"] in ("pass", "inconclusive", "fail")
    assert findings["controls"][0]["low_99"] < findings["controls"][0]["low"]
    assert "no power sensor" in findings["controls"][1]["reason"]
    assert (findings["planned"], findings["completed"]) == (12, 12)
    assert {one["experiment"] for one in findings["comparisons"]} == {"nap_batch1"}
    results = controlled.folder / "results/nap"
    for table in (results / "summary").glob("*.csv"):
        with table.open() as file:
            assert {row["experiment"] for row in csv.DictReader(file)} == {
                "nap_batch1",
                "nap_batch2",
            }
    page = (results / "report.html").read_text()
    assert 'id="controls-table"' in page
    assert "2 experiments and 2 controls × 3 cycles = 12 measurements" in page


def test_status_and_manifest_have_them(controlled):
    said = controlled.run("status", check=True).stdout
    assert A_A in said
    assert SAMPLER_OFF in said
    with (controlled.folder / "results/nap/campaign.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [row["status"] for row in rows] == ["done"] * 12


def test_an_archive_holds_them_and_finds_nothing_wrong(controlled):
    assert finished(controlled.run("archive", check=True).stdout) == []
    (archive,) = (controlled.folder / "results/nap/archive").glob("nap*.tar.gz")
    with tarfile.open(archive) as packed:
        names = packed.getnames()
        plan = next(name for name in names if name.endswith("provenance/plan.json"))
        told = json.load(packed.extractfile(plan))
        readme = packed.extractfile(plan.replace("provenance/plan.json", "README.md")).read()
    assert {control["kind"] for control in told["controls"]} == {"a_a", "sampler_off"}
    assert b"(2 experiments, up to 3 cycles)" in readme
    spec_hash = controlled.campaign().experiment(A_A).spec_hash
    assert sum(f"measurements/{spec_hash}/" in name for name in names) >= 3


@pytest.fixture(scope="module")
def without_sampler(tmp_path_factory, nvml_library):
    """One experiment and its control without a sampler, on a simulated GPU."""
    folder = tmp_path_factory.mktemp("gpu")
    gpu = Gpu(idle_watts=100.0, knots=constant(600.0), counter_update_s=0.0, thermal_s=0.5)
    files = {"load_file": folder / "load", "process_file": folder / "load.processes"}
    campaign = copy.deepcopy(CAMPAIGN) | {
        "cycles": 1,
        "controls": {"idle": True, "sampler_off": True},
        "experiments": {"nap": {}},
        "measurement": {
            "device": "gpu",
            "minimum_duration_s": 10.0,
            "baseline_s": 0.8,
            "warmup_cap_s": 1.5,
            "tail_s": 0.5,
            "sampling_hz": 50,
        },
    }
    campaign["defaults"]["engine"] = {"sleep": {"token_s": 0.1, "prefill_s": 0.1}}
    with pytest.MonkeyPatch.context() as environment:
        gpus = [replace(with_uuid(gpu, 1), **files)]
        tree, _ = powered_tree(campaign, gpus, folder, nvml_library, environment)
        tree.run("report", check=True)
        yield tree


def test_without_the_sampler_energy_is_null_with_a_reason_that_names_it(without_sampler):
    by_name = {result.experiment: result for result in results_of(without_sampler)}
    on, off = by_name["nap"], by_name["nap.sampler_off"]
    assert on.energy.energy_joules > 0
    assert (off.energy.energy_joules, off.energy.reason) == (None, "sampler_off")
    assert off.energy.joules_per_output_token is None
    assert off.energy.loaded_idle_power_watts == pytest.approx(100.0, rel=0.02)
    assert off.output_tokens_per_second > 0


def test_nothing_is_read_in_its_window(without_sampler):
    folder = without_sampler.folder / "results/nap"
    for result in results_of(without_sampler):
        series = read_series(folder / result.side_files["series"].path)
        power = series.samples(series.devices[0], "instant_power_watts")
        inside = power.between(result.window.start_monotonic_s + 0.5, result.window.end_monotonic_s)
        assert (len(inside) == 0) == (result.experiment == "nap.sampler_off")
        before = power.between(0.0, result.window.start_monotonic_s)
        assert len(before) > 50


def test_its_raw_data_agree(without_sampler):
    said = without_sampler.run("verify", check=True).stdout
    assert "2 results" in said


def test_it_is_not_counted_as_metered_in_vain(without_sampler):
    findings = findings_of(without_sampler)
    assert findings["energy_reasons"] == []
    assert [cell["energy_invalid"] for cell in findings["counts"]] == [0, 0]
    idle = findings["controls"][0]
    assert (idle["kind"], idle["pairs"], idle["verdict"]) == ("idle", 1, "not_testable")
    assert idle["ratio"] == pytest.approx(1.0, abs=0.02)
