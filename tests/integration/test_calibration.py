"""The target `calibrate_nvidia_smi` through the real command, on simulated GPUs."""

import json
import os
from pathlib import Path

import pytest

from llm_energy.power.series_file import read_series
from llm_energy.validation import nvidia_smi_output
from tests.integration.gpus import powered_tree
from tests.integration.test_energy import CAMPAIGN_ON_GPUS
from tests.integration.workflow import CAMPAIGN, Tree
from tests.nvml_simulator.fixtures import nvml_library
from tests.nvml_simulator.nvidia_smi import install
from tests.nvml_simulator.scenario import NOT_SUPPORTED, Fault, Gpu, constant, with_uuid

__all__ = ["nvml_library"]

pytestmark = pytest.mark.integration

TARGET = "calibrate_nvidia_smi"
SHORT = {"measurement": CAMPAIGN_ON_GPUS["measurement"] | {"warmup_cap_s": 1.5}}


def gpu(folder: Path, **changed) -> Gpu:
    return Gpu(idle_watts=100.0, knots=constant(600.0), load_file=folder / "load", **changed)


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory, nvml_library):
    """A tree in which the target ran once, what it printed, and the truth about its two GPUs."""
    folder = tmp_path_factory.mktemp("calibrated")
    no_average = Fault("average", NOT_SUPPORTED)
    gpus = [with_uuid(gpu(folder), 1), with_uuid(gpu(folder, faults=(no_average,)), 2)]
    with pytest.MonkeyPatch.context() as environment:
        tree, truth = powered_tree(
            CAMPAIGN_ON_GPUS | SHORT, gpus, folder, nvml_library, environment
        )
        tools = install(folder / "bin")
        environment.setenv("PATH", f"{tools}:{os.environ['PATH']}")
        environment.setenv("TZ", "Asia/Kolkata")  # the tool stamps in local time
        done = tree.run(TARGET, check=True)
    return tree, done.stdout, truth


def outcome(tree: Tree) -> tuple[Path, dict]:
    (path,) = (tree.folder / "results/nap/calibration").glob("*.json")
    return path, json.loads(path.read_text())


def test_both_ways_find_the_true_energy_of_the_window(calibrated):
    tree, _, truth = calibrated
    _, found = outcome(tree)
    window = found["window"]
    true = truth.joules(0, window["start_monotonic_s"], window["end_monotonic_s"])
    instant = found["devices"][0]["quantities"]["power.draw.instant"]
    assert instant["nvml"]["energy_joules"] == pytest.approx(true, rel=0.01)
    assert instant["nvidia_smi"]["energy_joules"] == pytest.approx(true, rel=0.01)
    assert instant["relative_difference"] == pytest.approx(0.0, abs=0.01)
    assert found["devices"][0]["counter_joules"] == pytest.approx(true, rel=0.01)
    assert found["nvidia_smi_ran_in"] == "host"


def test_what_a_gpu_does_not_have_is_a_reason_in_both_ways(calibrated):
    _, found = outcome(calibrated[0])
    average = found["devices"][1]["quantities"]["power.draw.average"]
    for way in ("nvml", "nvidia_smi"):
        assert average[way]["energy_joules"] is None
        assert average[way]["reason"] == "not_supported"
    assert average["relative_difference"] is None


def test_the_cost_of_each_way_is_measured(calibrated):
    _, found = outcome(calibrated[0])
    for way, costs in found["cost"].items():
        for name, cost in costs.items():
            assert cost is not None, (way, name)
            assert cost > 0.0, (way, name)


def test_all_that_was_read_lies_beside_it(calibrated):
    path, found = outcome(calibrated[0])
    window = found["window"]
    series = read_series(path.with_suffix(".parquet"))
    lines = path.with_suffix(".csv").read_text().splitlines()
    rows = nvidia_smi_output.parse(lines, offset_s=found["wall_less_monotonic_s"][0])
    assert {row.device for row in rows} == {device.id for device in series.devices}
    assert min(rows[-1].monotonic_s, series.readings[-1].monotonic_s) > window["end_monotonic_s"]


def test_it_is_reported_in_a_few_lines_that_name_the_simulation(calibrated):
    tree, output, _ = calibrated
    path, found = outcome(tree)
    device = found["devices"][0]["device"]
    assert f"{device} (simulated): power.draw.instant: nvml " in output
    assert "cost of nvml: " in output
    assert "cost of nvidia_smi: " in output
    assert str(path.relative_to(tree.folder)) in output


def test_it_leaves_no_result_no_run_and_no_process(calibrated):
    tree, _, _ = calibrated
    assert tree.results() == []
    assert tree.runs() == []
    assert tree.processes() == []


def test_a_campaign_on_the_cpu_is_refused(tmp_path):
    tree = Tree.create(tmp_path / "tree", CAMPAIGN)
    done = tree.run(TARGET)
    assert done.returncode != 0
    assert "measures on the CPU, nvidia-smi reads GPUs" in done.stdout
    assert "Traceback" not in done.stdout
