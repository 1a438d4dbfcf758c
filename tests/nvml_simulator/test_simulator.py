"""The simulator itself: through NVIDIA's own binding it says what its scenario's truth is."""

import dataclasses
import os
import subprocess
import time

import pytest

from tests.nvml_simulator import scenario as made
from tests.nvml_simulator.scenario import Fault, Gpu
from tests.waiting import sleep_until

FIELD_AVERAGE, FIELD_INSTANT = 185, 186

WAVEFORMS = {
    "constant": Gpu(knots=made.constant(600.0)),
    "steps": Gpu(knots=made.steps((0.0, 100.0), (10.0, 600.0), (20.0, 250.0))),
    "ramp": Gpu(knots=made.ramp((5.0, 100.0), (50.0, 500.0))),
    "bursts": Gpu(
        knots=made.bursts(low=200.0, high=600.0, period_s=0.033, duty=0.4), period_s=0.033
    ),
    "noise": Gpu(
        knots=made.noise(mean=500.0, deviation=50.0, period_s=2.0, step_s=0.02, seed=1),
        period_s=2.0,
    ),
}


def handle(nvml, index=0):
    nvml.nvmlInit()
    return nvml.nvmlDeviceGetHandleByIndex(index)


def counter_joules(nvml, device):
    """Counter and the moments between which it was read."""
    before = time.monotonic()
    joules = nvml.nvmlDeviceGetTotalEnergyConsumption(device) / 1e3
    return before, joules, time.monotonic()


@pytest.mark.parametrize("name", WAVEFORMS)
def test_a_counter_that_is_never_late_holds_the_true_energy(simulate, pynvml, name):
    gpu = dataclasses.replace(WAVEFORMS[name], counter_update_s=0.0)
    truth = simulate(gpu, epoch_s=time.monotonic() - 30.0)
    before, joules, after = counter_joules(pynvml, handle(pynvml))
    start = truth.epoch_s
    assert truth.joules(0, start, before) - 0.01 <= joules <= truth.joules(0, start, after) + 0.01


def test_a_counter_updates_at_its_period_and_has_its_gain(simulate, pynvml):
    gpu = Gpu(
        knots=made.constant(600.0),
        counter_update_s=5.0,
        counter_gain=0.84,
        counter_start_mj=1_000_000,
    )
    simulate(gpu, epoch_s=time.monotonic() - 12.0)
    _, joules, _ = counter_joules(pynvml, handle(pynvml))
    assert joules == pytest.approx(1000.0 + 0.84 * 600.0 * 10.0, abs=0.002)


def fields(nvml, device):
    values = nvml.nvmlDeviceGetFieldValues(device, [FIELD_INSTANT, FIELD_AVERAGE])
    return [value.value.uiVal / 1e3 if value.nvmlReturn == 0 else None for value in values]


def test_instant_power_is_the_power_and_average_that_of_the_last_second(simulate, pynvml):
    now = time.monotonic()
    simulate(Gpu(knots=made.ramp((0.0, 100.0), (60.0, 700.0))), epoch_s=now - 20.0)
    instant, average = fields(pynvml, handle(pynvml))
    assert instant >= 300.0
    # Half a second of the ramp's 10 W/s behind, and up to one update (0.1 s) more.
    assert 4.9 <= instant - average <= 6.5


def test_a_windowed_sensor_sees_part_of_each_period_only(simulate, pynvml):
    # The load works only while the sensor looks elsewhere.
    blind = made.bursts(low=600.0, high=100.0, period_s=0.1, duty=0.25)
    simulate(Gpu(knots=blind, period_s=0.1, sensor="window"), epoch_s=time.monotonic() - 5.0)
    device = handle(pynvml)
    for _ in range(20):
        instant, average = fields(pynvml, device)
        assert instant == pytest.approx(100.0, abs=0.002)
        assert average == pytest.approx(475.0, abs=0.01)
        time.sleep(0.007)


@pytest.mark.parametrize(("usage", "expected"), [("instant", 600.0), ("average", 350.0)])
def test_the_older_call_for_power_is_one_or_the_other(simulate, pynvml, usage, expected):
    knots = made.steps((0.0, 100.0), (19.5, 600.0))
    simulate(
        Gpu(knots=knots, usage=usage, sensor_period_s=20.0, sensor="ideal"),
        epoch_s=time.monotonic() - 20.0,
    )
    watts = pynvml.nvmlDeviceGetPowerUsage(handle(pynvml)) / 1e3
    assert watts == pytest.approx(expected, abs=0.01)


def test_the_load_follows_a_file_that_somebody_else_writes(simulate, pynvml, tmp_path):
    load = tmp_path / "load"
    epoch = time.monotonic() - 20.0
    gpu = Gpu(knots=made.constant(600.0), load_file=load, counter_update_s=0.0)
    truth = simulate(gpu, epoch_s=epoch)
    device = handle(pynvml)
    assert fields(pynvml, device)[0] == 100.0
    made.set_load(load, 1.0, at_s=epoch + 5.0)
    made.set_load(load, 0.5, at_s=epoch + 10.0)
    assert fields(pynvml, device)[0] == 350.0
    before, joules, after = counter_joules(pynvml, device)
    assert truth.joules(0, epoch, epoch + 15.0) == pytest.approx(500.0 + 3000.0 + 1750.0)
    assert truth.joules(0, epoch, before) - 0.01 <= joules <= truth.joules(0, epoch, after) + 0.01


def test_the_last_change_of_a_moment_holds(simulate, pynvml, tmp_path):
    load = tmp_path / "load"
    epoch = time.monotonic() - 20.0
    truth = simulate(Gpu(knots=made.constant(600.0), load_file=load), epoch_s=epoch)
    for at, level in ((5.0, 1.0), (10.0, 0.0), (8.0, 1.0), (18.0, 0.0), (15.0, 0.5)):
        made.set_load(load, level, at_s=epoch + at)
    assert fields(pynvml, handle(pynvml))[0] == 350.0
    assert truth.joules(0, epoch, epoch + 20.0) == pytest.approx(500.0 + 6000.0 + 1750.0)


def test_temperature_follows_power_with_its_time_constant(simulate, pynvml):
    knots = made.steps((0.0, 100.0), (10.0, 600.0))
    simulate(Gpu(knots=knots, thermal_s=10.0), epoch_s=time.monotonic() - 20.0)
    device = handle(pynvml)
    # From 35 °C towards 60 °C for one time constant: 35 + 25 · (1 - 1/e) = 50.8.
    assert pynvml.nvmlDeviceGetTemperatureV(device, 0) == 51


def test_slow_quantities_tell_idle_from_load(simulate, pynvml):
    busy = Gpu(knots=made.constant(600.0), throttle_watts=590.0)
    simulate(made.with_uuid(Gpu(), 1), made.with_uuid(busy, 2))
    idle, load = handle(pynvml, 0), handle(pynvml, 1)
    states = [pynvml.nvmlDeviceGetPerformanceState(device) for device in (idle, load)]
    clocks = [pynvml.nvmlDeviceGetClockInfo(device, 1) for device in (idle, load)]
    reasons = [pynvml.nvmlDeviceGetCurrentClocksEventReasons(device) for device in (idle, load)]
    busy_share = [pynvml.nvmlDeviceGetUtilizationRates(device).gpu for device in (idle, load)]
    assert (states, clocks, reasons, busy_share) == ([8, 0], [345, 1980], [1, 4], [0, 100])
    assert pynvml.nvmlDeviceGetMemoryInfo(load).used == 16 << 30


def test_a_fault_is_what_its_query_answers_for_its_time(simulate, pynvml):
    lost = Fault("all", made.GPU_LOST, (10.0, 1e9))
    unsupported = Fault("average", made.NOT_SUPPORTED)
    simulate(
        made.with_uuid(Gpu(faults=(unsupported,)), 1),
        made.with_uuid(Gpu(faults=(lost,)), 2),
        epoch_s=time.monotonic() - 20.0,
    )
    assert fields(pynvml, handle(pynvml, 0)) == [100.0, None]
    with pytest.raises(pynvml.NVMLError_GpuIsLost):
        pynvml.nvmlDeviceGetHandleByIndex(1)


def test_a_driver_reload_takes_the_library_away_until_it_is_initialised_again(simulate, pynvml):
    epoch = time.monotonic()
    simulate(Gpu(counter_update_s=0.0, counter_start_mj=10**9), epoch_s=epoch, reload=(1.5, 4.5))
    device = handle(pynvml)
    _, joules, _ = counter_joules(pynvml, device)
    assert joules >= 1e6
    sleep_until(epoch + 1.5)
    with pytest.raises(pynvml.NVMLError_DriverNotLoaded):
        pynvml.nvmlDeviceGetTotalEnergyConsumption(device)
    sleep_until(epoch + 4.5)
    with pytest.raises(pynvml.NVMLError_Uninitialized):
        pynvml.nvmlDeviceGetTotalEnergyConsumption(device)
    before, joules, after = counter_joules(pynvml, handle(pynvml))
    assert 100.0 * (before - epoch - 4.5) - 0.01 <= joules <= 100.0 * (after - epoch - 4.5) + 0.01


def test_processes_and_mig(simulate, pynvml):
    gpu = Gpu(processes=((4711, 0.0, 1e9), (4712, 1e8, 1e9)), mig=True)
    simulate(gpu)
    device = handle(pynvml)
    assert [p.pid for p in pynvml.nvmlDeviceGetComputeRunningProcesses(device)] == [4711]
    assert pynvml.nvmlDeviceGetMigMode(device) == [1, 1]


def test_it_says_that_it_is_a_simulator(simulate, pynvml):
    simulate(Gpu())
    assert "Simulated" in pynvml.nvmlDeviceGetName(handle(pynvml))
    assert "simulated" in pynvml.nvmlSystemGetDriverVersion()


def test_without_a_scenario_there_is_no_driver(pynvml, monkeypatch):
    monkeypatch.delenv("NVML_SIMULATOR_SCENARIO", raising=False)
    with pytest.raises(pynvml.NVMLError_DriverNotLoaded):
        pynvml.nvmlInit()


def test_modes_and_limits_are_the_scenarios(simulate, pynvml):
    simulate(Gpu(persistence=False, limit_watts=500.0, default_limit_watts=700.0))
    device = handle(pynvml)
    assert pynvml.nvmlDeviceGetPersistenceMode(device) == 0
    assert pynvml.nvmlDeviceGetEnforcedPowerLimit(device) == 500_000
    assert pynvml.nvmlDeviceGetPowerManagementDefaultLimit(device) == 700_000


def test_processes_may_enter_themselves(simulate, pynvml, tmp_path):
    file = tmp_path / "processes"
    simulate(Gpu(process_file=file, processes=((1, 0.0, 1e9),)))
    device = handle(pynvml)

    def listed():
        return [p.pid for p in pynvml.nvmlDeviceGetComputeRunningProcesses(device)]

    assert listed() == [1]
    ended = subprocess.Popen(["true"])
    ended.wait()
    file.write_text(f"{ended.pid}\n{os.getpid()}\n")
    assert listed() == [1, os.getpid()]
