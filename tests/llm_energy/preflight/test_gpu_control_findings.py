"""Findings about GPUs that a campaign sets, and about those that somebody left set."""

import json
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from tests.nvml_simulator.scenario import Fault, Gpu, with_uuid

from llm_energy.campaign.backend_settings import BackendConfig
from llm_energy.campaign.gpu_settings import GpuSettings
from llm_energy.campaign.parallel_settings import Parallel
from llm_energy.power import gpu_control
from llm_energy.power.gpu_targets import GpuSetting
from llm_energy.preflight.gpu_control_findings import (
    control_findings,
    limit_findings,
    outstanding_findings,
)
from llm_energy.preflight.gpus import read_gpus
from llm_energy.preflight.obstacles import request_findings

UUID = Gpu().uuid
ASKED = GpuSettings.model_validate({"power_limit_watts": {"of_default": 0.5}})


def campaign(*settings):
    experiments = [SimpleNamespace(settings=SimpleNamespace(gpu=each)) for each in settings]
    return SimpleNamespace(experiments=experiments)


@pytest.fixture
def gpu(tmp_path, monkeypatch, nvml_library, simulate):
    monkeypatch.setenv("LD_LIBRARY_PATH", str(nvml_library.parent))
    monkeypatch.setenv("GPU_CONTROL_RECORDS", str(tmp_path / "records"))
    monkeypatch.setattr(gpu_control, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(gpu_control.os, "geteuid", lambda: 0)

    def start(**options):
        simulate(Gpu(settings_file=tmp_path / "settings", **options))

    start()
    return start


def found(*settings):
    return [(f.status, f.message) for f in control_findings(campaign(*settings), read_gpus())]


def test_a_gpu_that_can_be_set_is_named_with_its_range(gpu):
    gpu()
    assert found(ASKED) == [("ok", f"{UUID}: can be set, from 100 to 700 W (default 700 W)")]
    assert found(GpuSettings()) == []


def test_each_obstacle_is_a_line_for_its_gpu(gpu, monkeypatch):
    beyond = GpuSettings(power_limit_watts=900.0)
    gpu(persistence=False, faults=(Fault("set_limit", 4),))
    (outside, persistence, right) = found(ASKED, beyond)
    assert outside == (
        "problem",
        f"{UUID}: gpu.power_limit_watts: 900 W is outside of 100 to 700 W",
    )
    assert f"nvidia-smi -i {UUID} -pm 1" in persistence[1]
    assert "no permission" in right[1]
    monkeypatch.setattr(gpu_control.os, "geteuid", lambda: 1000)
    assert "sudo install -o root" in found(ASKED)[-1][1]


def test_a_gpu_that_was_left_set_is_named_with_the_command(gpu):
    gpu()
    assert list(outstanding_findings()) == []
    owner = subprocess.Popen(["sleep", "600"])
    gpu_control.set_gpu(UUID, GpuSetting(350.0), owner_pid=owner.pid)
    assert list(outstanding_findings()) == []
    for wanted, expected in ((ASKED, "problem"), (GpuSettings(), "warning")):
        (status, message), *_ = found(wanted)
        assert status == expected
        assert f"process {owner.pid} of" in message
        assert "and lives; wait, or end it" in message
    owner.kill()
    owner.wait()
    (left,) = outstanding_findings()
    assert left.status == "warning"
    assert f"restore {UUID}" in left.message
    assert found(GpuSettings()) == []


def test_a_gpu_that_another_campaign_has_set_hinders_those_alone_that_use_it(
    gpu, simulate, tmp_path
):
    gpu()
    owner = subprocess.Popen(["sleep", "600"])
    gpu_control.set_gpu(UUID, GpuSetting(350.0), owner_pid=owner.pid)
    free = with_uuid(Gpu(settings_file=tmp_path / "free"), 2)
    simulate(Gpu(settings_file=tmp_path / "settings"), free)

    def found(*uuids, **known):
        boxy = {"runtime": "docker", "container": {"gpus": list(uuids) or "all"}}
        backends = {"boxy": BackendConfig.model_validate(boxy)}
        experiments = campaign(ASKED).experiments
        asks = SimpleNamespace(
            experiments=experiments, backends=backends, used_backends=backends, **known
        )
        return {f.status for f in request_findings(asks, read_gpus())}

    assert "problem" in found(parallel=None)
    assert "problem" in found(UUID, parallel=None)
    assert found(free.uuid, parallel=None) == {"ok"}
    assert "problem" in found(parallel=Parallel())
    assert found(parallel=Parallel(devices=[free.uuid])) == {"ok", "note"}
    owner.kill()
    owner.wait()


def limits(*watts):
    boards = [with_uuid(Gpu(limit_watts=limit), n) for n, limit in enumerate(watts, start=1)]
    return boards, lambda: [f.message for f in limit_findings(read_gpus())]


def test_gpus_that_blocks_take_turns_on_have_one_power_limit(gpu, simulate):
    gpu()
    boards, found = limits(700.0, 700.0, 500.0)
    simulate(*boards[:2])
    assert found() == []
    simulate(*boards)
    (message,) = found()
    a, b, c = (board.uuid for board in boards)
    assert f"several power limits, whose results are never averaged (700 W: {a}, {b}; " in message
    assert f"500 W: {c}); set the same (sudo nvidia-smi -i UUID -pl WATTS), or" in message
    simulate(boards[0], replace(boards[2], name="Another model"))
    assert found() == []  # which is refused as such


def test_a_limit_that_a_run_has_set_for_now_is_no_difference(gpu, simulate, tmp_path):
    gpu()
    owner = subprocess.Popen(["sleep", "600"])
    gpu_control.set_gpu(UUID, GpuSetting(350.0), owner_pid=owner.pid)
    own = Gpu(settings_file=tmp_path / "settings")
    simulate(own, with_uuid(Gpu(), 2))
    assert read_gpus()[0].device.power_limit_watts == 350.0
    assert list(limit_findings(read_gpus())) == []
    owner.kill()
    owner.wait()
    assert list(limit_findings(read_gpus())) == []  # the next start restores it


def test_an_owner_in_another_container_is_named_with_the_command(gpu, tmp_path):
    gpu()
    owner = subprocess.Popen(["sleep", "600"])
    gpu_control.set_gpu(UUID, GpuSetting(350.0), owner_pid=owner.pid)
    owner.kill()
    owner.wait()
    path = tmp_path / "records" / f"{UUID}.json"
    record = json.loads(path.read_text())
    record["owner"]["pid_namespace"] = "pid:[1]"
    path.write_text(json.dumps(record))
    ((status, message),) = found(GpuSettings())
    assert status == "warning"
    assert "in another container has set its limits; once it has ended" in message
    words = message.partition("sudo ")[2].split()[1:]
    command = [sys.executable, str(gpu_control.SCRIPT), *words]
    assert json.loads(subprocess.check_output(command)) == {"outcome": "restored"}


def test_a_damaged_record_is_named_and_lets_nothing_be_set(gpu, tmp_path):
    gpu()
    (tmp_path / "records").mkdir()
    path = tmp_path / "records" / f"{UUID}.json"
    path.write_text("{")
    (damaged,) = outstanding_findings()
    assert damaged.status == "warning"
    assert f"{path} is damaged" in damaged.message
    ((status, message),) = found(ASKED)
    assert (status, "never overwritten" in message) == ("problem", True)
