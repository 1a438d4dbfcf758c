"""Power limits as factors of a campaign, through the whole workflow on a simulated GPU."""

import fcntl
import json
import os
import pty
import signal
import subprocess
import termios
import time
from contextlib import suppress
from dataclasses import replace

import pytest

from llm_energy.results.result import read_result
from tests.integration.gpus import powered_tree
from tests.integration.test_energy import CAMPAIGN_ON_GPUS, LOADED
from tests.integration.workflow import PATIENCE_S, wait_for
from tests.nvml_simulator.fixtures import nvml_library
from tests.nvml_simulator.scenario import set_now, settings_of

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


def test_a_limit_that_others_change_in_the_window_is_flagged_and_left_alone(limited, tmp_path):
    tree, truth, records = limited
    short = LIMITS["measurement"] | {"warmup_cap_s": 1.5, "baseline_s": 0.4}
    axes = {"axes": {"gpu.power_limit_watts.of_default": [0.5]}}
    tree.write_campaign(LIMITS | {"measurement": short, "experiments": {"nap": axes}})
    process = tree.start("measurements")
    load = tmp_path / "load"
    # In the window: the warm-up has 5 waves or so, the window 25, or fewer on a busy machine.
    wait_for(lambda: process.poll() is not None or begun_waves(load) >= 12)
    set_now(truth.gpus[0], 300.0)
    assert process.wait(timeout=PATIENCE_S) == 0, tree.output()
    (result,) = map(read_result, tree.results())
    flags = {flag.code: flag.message for flag in result.flags}
    uuid = truth.gpus[0].uuid
    assert flags["gpu_set_otherwise"] == f"{uuid}: 300 W instead of 350 W"
    assert flags["power_limit_changed"] == f"{uuid}: 300 to 350 W"
    window = result.window
    true = truth.joules(0, window.start_monotonic_s, window.end_monotonic_s)
    assert result.energy.energy_joules == pytest.approx(true, rel=0.002)
    assert limit_watts(truth) == 300.0
    assert not list(records.glob("*.json"))
    assert "its power limit was changed by others meanwhile" in tree.output()


def begun_waves(load):
    lines = load.read_text().splitlines() if load.exists() else []
    return sum(line.endswith(" 1.0") for line in lines)


def in_a_terminal(tree, *arguments):
    """Start the workflow in the foreground of a terminal of its own; returns that too."""
    master, slave = pty.openpty()

    def take_the_terminal():
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    with (tree.folder / "output.log").open("wb") as output:
        process = subprocess.Popen(
            tree.command(*arguments),
            cwd=tree.folder,
            stdin=slave,
            stdout=output,
            stderr=output,
            preexec_fn=take_the_terminal,
        )
    os.close(slave)
    return process, master


def until_set(tree, process, truth):
    wait_for(lambda: process.poll() is not None or limit_watts(truth) != 650.0)
    assert process.poll() is None, tree.output()


ENDS = {
    "ctrl_c": lambda _, terminal: os.write(terminal, b"\x03"),
    "closed_terminal": lambda _, terminal: os.close(terminal),
    "term": lambda process, _: process.send_signal(signal.SIGTERM),
}


def test_whatever_signal_ends_a_run_its_end_restores(limited):
    tree, truth, records = limited
    for name, end in ENDS.items():
        process, terminal = in_a_terminal(tree, "measurements")
        until_set(tree, process, truth)
        assert list(records.glob("*.json"))
        end(process, terminal)
        assert process.wait(timeout=PATIENCE_S) != 0
        assert limit_watts(truth) == 650.0, name
        assert not list(records.glob("*.json")), name
        assert "power limit and clocks are as they were found" in tree.output()
        with suppress(OSError):
            os.close(terminal)


def test_after_kill_the_watchdog_restores_and_without_it_the_next_start_does(limited):
    tree, truth, records = limited
    for with_watchdog in (True, False):
        process = tree.start("measurements")
        until_set(tree, process, truth)
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
        wait_for(lambda: not list(records.glob("*.json")), why="the limit is not restored")
        assert limit_watts(truth) == 650.0


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
