"""GPUs are set and restored through the script that needs root, whatever happens in between."""

import subprocess
import sys

import pytest
from tests.llm_energy.power.gpu_faults import FAULTS, UUID, Machine, killed

from llm_energy.power import gpu_control
from llm_energy.power.gpu_control import GpuControlError, set_gpu
from llm_energy.power.gpu_targets import Clocks, GpuRange, GpuSetting, GpuTargetError, GpuTargets
from llm_energy.system.processes import ProcessId

BOARD = GpuRange(700.0, 100.0, 700.0, 1980.0, 2619.0)


@pytest.fixture
def machine(tmp_path, monkeypatch, nvml_library):
    made = Machine(tmp_path, monkeypatch, nvml_library)
    yield made
    made.end()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["set", "0", "--owner", "1"], "by its UUID"),
        (["set", f"{UUID}/../x", "--owner", "1"], "by its UUID"),
        (["set", UUID], "needs --owner"),
        (["set", UUID, "--owner", "1", "--power-limit-milliwatts", "-5"], "between"),
        (["set", UUID, "--owner", "1", "--power-limit-milliwatts", "50000"], "100 to 700 W"),
        (["set", UUID, "--owner", "1", "--sm-clock-mhz", "900", "0"], "between"),
        (["set", UUID, "--owner", "1", "--sm-clock-mhz", "900", "600"], "invalid argument"),
        (["set", UUID, "--owner", "4194304"], "no process"),
    ],
)
def test_the_script_checks_what_it_gets(machine, words, message):
    command = [sys.executable, str(gpu_control.SCRIPT), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert machine.record is None


def test_sudo_without_a_rule_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu_control.os, "geteuid", lambda: 1000)
    assert "sudo install -o root" in gpu_control.refusal()
    installed = tmp_path / "llm-energy-gpu"
    installed.write_bytes(gpu_control.SCRIPT.read_bytes())
    monkeypatch.setattr(gpu_control, "INSTALLED", installed)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "sudo does not work" in gpu_control.refusal()
    sudo = tmp_path / "sudo"
    for code, refused in ((1, True), (0, False)):
        sudo.write_text(f'#!/bin/sh\n[ "$1" = -n ] || read line\nexit {code}\n')
        sudo.chmod(0o755)
        assert (gpu_control.refusal() is not None) is refused
    installed.write_text("older")
    assert "not of this version" in gpu_control.refusal()


@pytest.mark.parametrize("fault", FAULTS)
def test_the_gpu_is_as_it_must_be_after(machine, fault):
    FAULTS[fault](machine)


def test_the_owner_of_a_record_is_seen(machine):
    owner = machine.owner()
    set_gpu(UUID, GpuSetting(350.0), owner_pid=owner.pid)
    (one,) = gpu_control.outstanding()
    assert (one.owner_pid, one.owner_lives, one.found_watts) == (owner.pid, True, 650.0)
    assert ProcessId.of(owner.pid).start_ticks == machine.record["owner"]["start_ticks"]
    killed(owner)
    (one,) = gpu_control.outstanding()
    assert not one.owner_lives


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({"power_limit_watts": {"of_default": 0.7}}, GpuSetting(490.0)),
        ({"power_limit_watts": 350.0}, GpuSetting(350.0)),
        ({"power_limit_watts": 100.0}, GpuSetting(100.0)),
        ({"power_limit_watts": {"of_default": 1.0}}, GpuSetting(700.0)),
        ({"sm_clock_mhz": {"of_default": 0.5}}, GpuSetting(sm_clock_mhz=Clocks(990, 990))),
        ({"memory_clock_mhz": 2619.0}, GpuSetting(memory_clock_mhz=Clocks(2619, 2619))),
        (
            {"sm_clock_mhz": {"from": 210.0, "to": 1500.0}},
            GpuSetting(sm_clock_mhz=Clocks(210, 1500)),
        ),
    ],
)
def test_targets_are_resolved_for_a_board(declared, expected):
    assert GpuTargets.of(declared).on(BOARD) == expected


def test_bounds_of_a_board_that_are_no_whole_watts_are_not_left_by_rounding():
    board = GpuRange(115.6, 40.4, 115.6)
    default = GpuTargets.of({"power_limit_watts": {"of_default": 1.0}})
    assert default.on(board) == GpuSetting(115.0)
    assert GpuTargets.of({"power_limit_watts": 40.4}).on(board) == GpuSetting(41.0)


def test_without_a_folder_for_the_record_nothing_is_changed(machine):
    machine.records.write_text("a file")
    with pytest.raises(GpuControlError, match="nothing is changed without a record"):
        set_gpu(UUID, GpuSetting(350.0), owner_pid=machine.owner().pid)
    assert machine.limit_watts == 650.0


@pytest.mark.parametrize(
    ("declared", "board", "message"),
    [
        ({"power_limit_watts": 750.0}, BOARD, "750 W is outside of 100 to 700 W"),
        ({"power_limit_watts": {"of_default": 0.1}}, BOARD, "70 W is outside"),
        ({"power_limit_watts": 300.0}, GpuRange(), "is fixed"),
        ({"sm_clock_mhz": 2500.0}, BOARD, "above the highest"),
        ({"sm_clock_mhz": {"from": 210.0, "to": 2500.0}}, BOARD, "2500 MHz is above the highest"),
        ({"sm_clock_mhz": {"of_default": 0.5}}, GpuRange(), "in units"),
    ],
)
def test_what_a_board_cannot_do_is_refused_with_its_range(declared, board, message):
    with pytest.raises(GpuTargetError, match=message):
        GpuTargets.of(declared).on(board)
