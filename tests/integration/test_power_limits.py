"""Power limits as factors of a campaign, through the whole workflow on a simulated GPU."""

import json
import os
import signal
import time
from dataclasses import replace

import pytest

from llm_energy.results.result import read_result
from tests.integration.gpus import powered_tree
from tests.integration.test_energy import CAMPAIGN_ON_GPUS, LOADED
from tests.nvml_simulator.fixtures import nvml_library
from tests.nvml_simulator.scenario import settings_of

__all__ = ["nvml_library"]

pytestmark = pytest.mark.long

LIMITS = CAMPAIGN_ON_GPUS | {
    "measurement": CAMPAIGN_ON_GPUS["measurement"] | {"warmup_cap_s": 4.0},
    "experiments": {
        "nap": {"axes": {"gpu.power_limit_watts.of_default": [1, 0.5]}},
        "found": {"settings": {"batch_size": 2}},
    },
}


@pytest.fixture
def limited(tmp_path, monkeypatch, nvml_library):
    monkeypatch.setenv("GPU_CONTROL_RECORDS", str(tmp_path / "records"))
    gpu = replace(
        LOADED,
        limit_watts=650.0,
        load_file=tmp_path / "load",
        process_file=tmp_path / "load.processes",
        settings_file=tmp_path / "settings",
    )
    return *powered_tree(LIMITS, [gpu], tmp_path, nvml_library, monkeypatch), tmp_path / "records"


def limit_watts(truth):
    return settings_of(truth.gpus[0], 0.0)[-1][1]


def test_each_experiment_is_measured_at_its_limit_and_the_gpu_is_as_it_was(limited):
    tree, truth, records = limited
    tree.run(check=True)
    results = {result.experiment: result for result in map(read_result, tree.results())}
    expected = {"nap_limit1": (700.0, 600.0), "nap_limit0.5": (350.0, 350.0)}
    for name, (limit, power) in expected.items():
        result = results[name]
        assert result.environment.power_limit_watts == limit
        assert result.environment.gpu_set.power_limit_watts == limit
        assert result.environment.gpu_set.found_power_limit_watts == 650.0
        assert result.energy.mean_power_watts == pytest.approx(power, rel=0.002)
        window = result.window
        true = truth.joules(0, window.start_monotonic_s, window.end_monotonic_s)
        assert result.energy.energy_joules == pytest.approx(true, rel=0.002)
        assert "gpu_set_otherwise" not in {flag.code for flag in result.flags}
    found = results["found"]
    assert (found.environment.gpu_set, found.environment.power_limit_watts) == (None, 650.0)
    assert limit_watts(truth) == 650.0
    assert not list(records.glob("*.json"))
    summary = json.loads((tree.folder / "results/nap/summary/summary.json").read_text())
    energy = [c for c in summary["axis_comparisons"] if c["metric"] == "joules_per_output_token"]
    assert [c["pairs"] for c in energy] == [1]
    assert energy[0]["marks"] == []


def test_after_kill_the_watchdog_restores_and_without_it_the_next_start_does(limited):
    tree, truth, records = limited
    for with_watchdog in (True, False):
        process = tree.start("measurements")
        while not list(records.glob("*.json")) or limit_watts(truth) == 650.0:
            assert process.poll() is None, tree.output()
            time.sleep(0.1)
        if not with_watchdog:
            os.kill(tree.run_facts()["watchdog"]["pid"], signal.SIGKILL)
        process.kill()
        process.wait()
        if not with_watchdog:
            time.sleep(1.0)
            assert limit_watts(truth) != 650.0
            done = tree.run("preflight")
            assert "sudo" in done.stdout
            assert "restore GPU-" in done.stdout
            tree.run(check=True)
        deadline_s = time.monotonic() + 60.0
        while list(records.glob("*.json")) and time.monotonic() < deadline_s:
            time.sleep(0.2)
        assert limit_watts(truth) == 650.0
        assert not list(records.glob("*.json"))


def test_what_the_board_cannot_do_is_one_line_before_anything_starts(limited):
    tree, truth, records = limited
    beyond = {"nap": {"axes": {"gpu.power_limit_watts": [700, 900]}}}
    tree.write_campaign(LIMITS | {"experiments": beyond})
    done = tree.run("measurements")
    assert done.returncode != 0
    assert f"{truth.gpus[0].uuid}: gpu.power_limit_watts: 900 W is outside of 100 to 700 W" in (
        done.stdout
    )
    assert not list(records.glob("*.json"))
