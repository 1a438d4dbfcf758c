"""A simulated machine whose GPU somebody sets, and the faults that may come in between.

Each fault asserts that the GPU is then as it must be; tests and a benchmark let them happen.
"""

import json
import subprocess
import time
from dataclasses import replace

import pytest
from tests.nvml_simulator.scenario import EVER, Fault, Gpu, Scenario, constant, set_now, settings_of

from llm_energy.power import gpu_control
from llm_energy.power.gpu_control import GpuControlError, restore_all, restore_gpu, set_gpu
from llm_energy.power.gpu_targets import Clocks, GpuSetting
from llm_energy.system.processes import ProcessId

UUID = Gpu().uuid
NO_PERMISSION, GPU_LOST = 4, 15


class Machine:
    """A simulated machine with one GPU, and owners of its limits."""

    def __init__(self, folder, environment, library):
        self.gpu = Gpu(settings_file=folder / "settings", limit_watts=650.0, knots=constant(600.0))
        self.folder, self.records = folder, folder / "records"
        self.truth = Scenario([self.gpu], epoch_s=time.monotonic() - 100.0)
        self._owners = []
        environment.setenv("LD_LIBRARY_PATH", str(library.parent))
        environment.setenv("NVML_SIMULATOR_SCENARIO", str(folder / "scenario"))
        environment.setenv("GPU_CONTROL_RECORDS", str(self.records))
        environment.setattr(gpu_control, "RECORDS", self.records)
        environment.setattr(gpu_control.os, "geteuid", lambda: 0)  # the library asks no rights
        self.becomes()

    def becomes(self, **changes):
        self.truth = replace(self.truth, gpus=[replace(self.truth.gpus[0], **changes)])
        self.truth.write(self.folder / "scenario")

    @property
    def limit_watts(self):
        return settings_of(self.truth.gpus[0], 0.0)[-1][1]

    @property
    def sm_mhz(self):
        return settings_of(self.truth.gpus[0], 0.0)[-1][2]

    @property
    def sm_bounds_mhz(self):
        last = self.gpu.settings_file.read_text().splitlines()[-1].split()
        return int(last[4]), int(last[2])

    @property
    def record(self):
        path = self.records / f"{UUID}.json"
        return json.loads(path.read_text()) if path.exists() else None

    def rewrite(self, **changes):
        (self.records / f"{UUID}.json").write_text(json.dumps(self.record | changes))

    def owner(self):
        self._owners.append(subprocess.Popen(["sleep", "600"]))
        return self._owners[-1]

    def end(self):
        for owner in self._owners:
            owner.kill()
            owner.wait()


def killed(process):
    process.kill()
    process.wait()


def what_others_changed_meanwhile_is_left_alone(machine):
    owner = machine.owner()
    set_gpu(UUID, GpuSetting(350.0), owner_pid=owner.pid)
    set_now(machine.gpu, 500.0)
    killed(owner)
    assert restore_all(owner=None) == [f"{UUID}: {gpu_control.OUTCOMES['changed_by_others']}"]
    assert machine.limit_watts == 500.0
    assert machine.record is None


def what_others_set_between_two_of_ours_is_what_is_restored(machine):
    owner = machine.owner().pid
    set_gpu(UUID, GpuSetting(350.0), owner_pid=owner)
    set_now(machine.gpu, 500.0)
    assert set_gpu(UUID, GpuSetting(300.0), owner_pid=owner) == 500.0
    restore_gpu(UUID, owner_pid=owner)
    assert machine.limit_watts == 500.0


def a_second_start_keeps_what_was_found_first(machine):
    first, second = machine.owner(), machine.owner()
    set_gpu(UUID, GpuSetting(350.0), owner_pid=first.pid)
    with pytest.raises(GpuControlError, match=f"process {first.pid} of"):
        set_gpu(UUID, GpuSetting(300.0), owner_pid=second.pid)
    killed(first)
    assert set_gpu(UUID, GpuSetting(300.0), owner_pid=second.pid) == 650.0
    restore_gpu(UUID, owner_pid=second.pid)
    assert machine.limit_watts == 650.0


def nobody_restores_what_a_living_process_set(machine):
    owner = machine.owner()
    set_gpu(UUID, GpuSetting(350.0), owner_pid=owner.pid)
    assert restore_all(owner=None) == []
    with pytest.raises(GpuControlError, match="lives"):
        restore_gpu(UUID)
    killed(owner)
    assert restore_gpu(UUID) == "restored"


def a_process_with_the_same_id_is_not_the_owner(machine):
    owner = machine.owner()
    set_gpu(UUID, GpuSetting(350.0), owner_pid=owner.pid)
    machine.rewrite(owner=machine.record["owner"] | {"start_ticks": 1})
    assert len(restore_all(owner=None)) == 1
    assert machine.limit_watts == 650.0


def the_owner_may_be_killed_between_record_and_change(machine):
    owner = machine.owner()
    set_gpu(UUID, GpuSetting(350.0), owner_pid=owner.pid)
    machine.rewrite(ours_milliwatts=[350_000, 300_000])  # 300 W were about to be set
    killed(owner)
    restore_all(owner=None)
    assert machine.limit_watts == 650.0


def a_counter_that_started_again_voids_the_record(machine):
    owner = machine.owner()
    set_gpu(UUID, GpuSetting(350.0), owner_pid=owner.pid)
    killed(owner)
    reset_s = time.monotonic() - machine.truth.epoch_s - 0.5
    machine.truth = replace(machine.truth, reload=(reset_s - 0.1, reset_s))
    machine.becomes()
    assert restore_gpu(UUID) == "void"


def without_persistence_nothing_is_set(machine):
    machine.becomes(persistence=False)
    with pytest.raises(GpuControlError, match=f"nvidia-smi -i {UUID} -pm 1"):
        set_gpu(UUID, GpuSetting(350.0), owner_pid=machine.owner().pid)
    assert machine.record is None


def a_record_that_cannot_be_restored_stays_and_is_named(machine):
    owner = machine.owner()
    set_gpu(UUID, GpuSetting(350.0), owner_pid=owner.pid)
    killed(owner)
    machine.becomes(faults=(Fault("set_limit", NO_PERMISSION, EVER),))
    (line,) = restore_all(owner=None)
    assert f"restore {UUID}" in line
    assert machine.record is not None
    machine.becomes(faults=())
    restore_all(owner=None)
    assert machine.limit_watts == 650.0


def a_driver_that_does_not_do_it_is_refused(machine):
    machine.becomes(faults=(Fault("honour", 1),))
    with pytest.raises(GpuControlError, match="took 350 W and has 650 W"):
        set_gpu(UUID, GpuSetting(350.0), owner_pid=machine.owner().pid)


def the_record_is_there_before_the_first_change(machine):
    machine.becomes(faults=(Fault("set_limit", NO_PERMISSION),))
    seen = machine.owner().pid
    with pytest.raises(GpuControlError, match="no permission"):
        set_gpu(UUID, GpuSetting(350.0), owner_pid=seen)
    assert machine.limit_watts == 650.0
    assert machine.record is None  # nothing was changed, so that nothing is outstanding


def clocks_are_locked_and_reset(machine):
    owner = machine.owner().pid
    set_gpu(UUID, GpuSetting(sm_clock_mhz=Clocks(600, 1200)), owner_pid=owner)
    assert machine.sm_bounds_mhz == (600, 1200)
    set_gpu(UUID, GpuSetting(300.0), owner_pid=owner)
    assert (machine.sm_mhz, machine.limit_watts) == (0, 300.0)
    set_gpu(UUID, GpuSetting(sm_clock_mhz=Clocks(900, 900)), owner_pid=owner)
    assert (machine.sm_mhz, machine.limit_watts) == (900, 650.0)
    restore_gpu(UUID, owner_pid=owner)
    assert machine.sm_mhz == 0


def a_limit_is_set_and_restored(machine):
    owner = machine.owner().pid
    assert set_gpu(UUID, GpuSetting(350.0), owner_pid=owner) == 650.0
    assert machine.limit_watts == 350.0
    assert set_gpu(UUID, GpuSetting(400.0), owner_pid=owner) == 650.0
    assert restore_gpu(UUID, owner_pid=owner) == "restored"
    assert machine.limit_watts == 650.0
    assert machine.record is None


def an_unreadable_record_is_never_overwritten(machine):
    owner = machine.owner()
    set_gpu(UUID, GpuSetting(350.0), owner_pid=owner.pid)
    killed(owner)
    path, whole = machine.records / f"{UUID}.json", machine.record
    without = {name: value for name, value in whole.items() if name != "locked_sm"}
    for damaged in (json.dumps(whole)[:100], "", "[]", "\0" * 100, json.dumps(without)):
        path.write_text(damaged)
        for attempt in (
            lambda: set_gpu(UUID, GpuSetting(300.0), owner_pid=machine.owner().pid),
            lambda: restore_gpu(UUID),
        ):
            with pytest.raises(GpuControlError, match="never overwritten"):
                attempt()
        assert path.read_text() == damaged
        assert machine.limit_watts == 350.0
    path.write_text(json.dumps(whole))
    assert restore_gpu(UUID) == "restored"


def an_id_that_a_living_owner_has_again(machine):
    """A dead run had the process id that now is a living owner's: its end restores nothing."""
    owner = machine.owner()
    set_gpu(UUID, GpuSetting(350.0), owner_pid=owner.pid)
    dead = replace(ProcessId.of(owner.pid), start_ticks=1)
    assert restore_all(owner=dead) == []
    assert machine.limit_watts == 350.0
    assert len(restore_all(owner=ProcessId.of(owner.pid))) == 1
    assert machine.limit_watts == 650.0


def a_reboot(machine):
    owner = machine.owner()
    set_gpu(UUID, GpuSetting(350.0), owner_pid=owner.pid)
    machine.rewrite(boot="another")
    killed(owner)
    assert restore_gpu(UUID) == "void"
    assert machine.limit_watts == 350.0  # whoever set it since then meant it
    assert machine.record is None


def another_module(machine):
    owner = machine.owner()
    set_gpu(UUID, GpuSetting(350.0), owner_pid=owner.pid)
    machine.rewrite(module=1)
    killed(owner)
    assert restore_gpu(UUID) == "void"
    assert machine.record is None


def a_gpu_that_is_lost_while_it_is_set(machine):
    owner = machine.owner()
    set_gpu(UUID, GpuSetting(350.0), owner_pid=owner.pid)
    killed(owner)
    machine.becomes(faults=(Fault("all", GPU_LOST, EVER),))
    (line,) = restore_all(owner=None)
    assert "the GPU is lost" in line
    assert f"restore {UUID}" in line
    assert machine.record is not None
    reset_s = time.monotonic() - machine.truth.epoch_s - 0.5
    machine.truth = replace(machine.truth, reload=(reset_s - 0.1, reset_s))
    machine.becomes(faults=())  # it came back by a reset, at its own limit
    assert restore_gpu(UUID) == "void"
    assert machine.record is None


def an_owner_in_another_container(machine):
    owner = machine.owner()
    set_gpu(UUID, GpuSetting(350.0), owner_pid=owner.pid)
    machine.rewrite(owner=machine.record["owner"] | {"pid_namespace": "pid:[1]"})
    killed(owner)
    with pytest.raises(GpuControlError, match="has set it, and lives"):
        set_gpu(UUID, GpuSetting(300.0), owner_pid=machine.owner().pid)
    assert restore_all(owner=None) == []
    assert restore_gpu(UUID, owner_pid=owner.pid) == "restored"
    assert machine.limit_watts == 650.0


FAULTS = {
    "others change the limit": what_others_changed_meanwhile_is_left_alone,
    "others change it between two of ours": what_others_set_between_two_of_ours_is_what_is_restored,
    "a second start before the restoration": a_second_start_keeps_what_was_found_first,
    "an attempt to restore what a living process set": nobody_restores_what_a_living_process_set,
    "a process with the same id": a_process_with_the_same_id_is_not_the_owner,
    "killed between record and change": the_owner_may_be_killed_between_record_and_change,
    "the counter started again": a_counter_that_started_again_voids_the_record,
    "persistence mode off": without_persistence_nothing_is_set,
    "a driver that refuses the restoration": a_record_that_cannot_be_restored_stays_and_is_named,
    "a driver that does not do it": a_driver_that_does_not_do_it_is_refused,
    "no permission": the_record_is_there_before_the_first_change,
    "locked clocks": clocks_are_locked_and_reset,
    "a normal end": a_limit_is_set_and_restored,
    "an unreadable record": an_unreadable_record_is_never_overwritten,
    "an id that a living owner has again": an_id_that_a_living_owner_has_again,
    "a reboot": a_reboot,
    "the driver was loaded anew": another_module,
    "the GPU is lost while it is set": a_gpu_that_is_lost_while_it_is_set,
    "an owner in another container": an_owner_in_another_container,
}
