"""The NVML meter on NVIDIA's own binding, against a library whose true energy is known."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from tests.llm_energy.power.made_power import phases, powercap
from tests.nvml_simulator import scenario as made
from tests.nvml_simulator.library import VARIABLE
from tests.nvml_simulator.scenario import Fault, Gpu, with_uuid

from llm_energy.power.accounting import account_energy
from llm_energy.power.detect import open_meters
from llm_energy.power.meter import QUANTITIES, State
from llm_energy.power.nvml import NvmlMeter
from llm_energy.power.sampler import Sampler
from llm_energy.results.parts import Tokens

TOKENS = Tokens(input=10, output=100, requests=1)
LOADED = Gpu(knots=made.constant(600.0), counter_update_s=0.02)


@contextmanager
def opened():
    meter = NvmlMeter.open()
    assert meter is not None
    try:
        yield meter
    finally:
        meter.close()


def one_reading(*, slow=False):
    with opened() as meter:
        return meter.read(meter.devices[0], slow=slow)


def sampled(duration_s, *, rate_hz=50.0):
    """A series over `duration_s` and the window that lies inside it."""
    with opened() as meter, Sampler([meter], rate_hz=rate_hz) as sampler:
        time.sleep(0.2)
        start = time.monotonic()
        time.sleep(duration_s)
        end = time.monotonic()
        time.sleep(0.2)
    return sampler.series(), phases(window=(start, end))


class TestDevices:
    def test_a_gpu_is_known_by_its_uuid_and_described(self, simulate):
        simulate(Gpu(limit_watts=650.0))
        with opened() as meter:
            (device,) = meter.devices
        assert device.id == Gpu().uuid
        assert device.model == "Simulated GPU"
        assert (device.scope, device.power_limit_watts) == ("gpu_board", 650.0)
        assert device.refusal is None
        assert device.facts == {
            "driver": "580.00 (simulated)",
            "persistence_mode": True,
            "ecc": True,
            "mig": False,
            "architecture": 9,
            "max_sm_clock_mhz": 1980,
            "max_memory_clock_mhz": 2619,
        }

    def test_a_simulated_sensor_is_recognised_by_name_or_driver(self, simulate):
        simulate(Gpu(name="Board 9000"))
        with opened() as meter:
            assert meter.devices[0].simulated
        simulate(Gpu(name="Board 9000"), driver="580.00")
        with opened() as meter:
            assert not meter.devices[0].simulated

    def test_two_handles_of_one_board_are_one_device(self, simulate):
        simulate(LOADED, LOADED, with_uuid(LOADED, 2))
        series, spans = sampled(1.0)
        account = account_energy(series, spans, TOKENS)
        assert len(series.devices) == 2
        assert account.energy.mean_power_watts == pytest.approx(1200.0, rel=0.05)

    def test_a_gpu_that_fell_off_the_bus_hides_no_other(self, simulate):
        lost = with_uuid(Gpu(faults=(Fault("handle", made.GPU_LOST),)), 2)
        simulate(lost, Gpu())
        with opened() as meter:
            assert [device.id for device in meter.devices] == [Gpu().uuid]

    def test_without_a_driver_there_is_no_meter(self, monkeypatch):
        monkeypatch.delenv(VARIABLE, raising=False)
        assert NvmlMeter.open() is None

    def test_without_a_gpu_there_is_no_meter(self, simulate):
        simulate()
        assert NvmlMeter.open() is None


class TestReading:
    def test_one_pass_reads_every_sensor(self, simulate):
        gpu = Gpu(knots=made.constant(600.0), counter_start_mj=5_000)
        simulate(gpu, epoch_s=time.monotonic() - 10.0)
        before = time.monotonic()
        reading = one_reading()
        assert reading.instant_power_watts == 600.0
        assert reading.average_power_watts == 600.0
        assert reading.usage_power_watts == 600.0
        assert reading.energy_counter_joules == pytest.approx(6005.0, abs=600.0)
        assert reading.unavailable == {}
        assert reading.state is None
        assert before <= reading.monotonic_s <= time.monotonic()
        assert reading.wall_s == pytest.approx(time.time(), abs=60.0)

    def test_the_state_is_read_when_asked_for(self, simulate):
        processes = ((4711, 0.0, 1e9),)
        simulate(Gpu(knots=made.constant(600.0), throttle_watts=500.0, processes=processes))
        state = one_reading(slow=True).state
        assert state.sm_clock_mhz == 1980
        assert state.memory_clock_mhz == 2619
        assert state.temperature_celsius == 35
        assert state.utilisation_percent == 100
        assert state.memory_used_bytes == 16 << 30
        assert state.throttle_reasons == 0x4
        assert state.performance_state == 0
        assert state.process_ids == (4711,)

    @pytest.mark.parametrize(
        ("target", "quantity"),
        [
            ("counter", "energy_counter_joules"),
            ("instant", "instant_power_watts"),
            ("average", "average_power_watts"),
            ("usage", "usage_power_watts"),
        ],
    )
    def test_a_quantity_that_is_not_supported_costs_itself_only(self, simulate, target, quantity):
        simulate(Gpu(faults=(Fault(target, made.NOT_SUPPORTED),)))
        reading = one_reading()
        assert reading.unavailable == {quantity: "not_supported"}
        values = {name: getattr(reading, name) for name in QUANTITIES}
        assert [name for name, value in values.items() if value is None] == [quantity]

    @pytest.mark.parametrize("target", ["temperature", "clocks", "reasons", "processes"])
    def test_a_state_that_is_not_supported_costs_itself_only(self, simulate, target):
        simulate(Gpu(faults=(Fault(target, made.NOT_SUPPORTED),)))
        state = one_reading(slow=True).state
        fields = {
            "temperature": state.temperature_celsius,
            "clocks": state.sm_clock_mhz,
            "reasons": state.throttle_reasons,
            "processes": state.process_ids,
        }
        assert [name for name, value in fields.items() if value is None] == [target]

    @pytest.mark.parametrize(
        ("code", "reason"),
        [(made.GPU_LOST, "gpu_lost"), (made.TIMEOUT, "timeout"), (999, "read_failed")],
    )
    def test_an_error_of_the_gpu_is_a_reason(self, simulate, code, reason):
        # Described in its first half second, lost after that.
        simulate(Gpu(faults=(Fault("all", code, (0.5, 1e9)),)))
        with opened() as meter:
            time.sleep(0.6)
            reading = meter.read(meter.devices[0], slow=True)
        assert reading.unavailable == dict.fromkeys(QUANTITIES, reason)
        assert reading.state == State()


class TestAgainstTheTruth:
    @pytest.mark.parametrize("method", ["counter", "integrated_instant", "integrated_average"])
    def test_a_window_inside_steady_load(self, simulate, method):
        truth = simulate(LOADED, epoch_s=time.monotonic() - 10.0)
        series, spans = sampled(2.0)
        found = account_energy(series, spans, TOKENS, method=method).energy
        window = spans[0]
        true = truth.joules(0, window.start_monotonic_s, window.end_monotonic_s)
        assert found.energy_joules == pytest.approx(true, abs=0.02 * 600.0 + 0.002 * true)
        assert found.simulated

    def test_load_that_comes_and_goes_with_the_work(self, simulate, tmp_path):
        load = tmp_path / "load"
        gpu = Gpu(knots=made.constant(600.0), load_file=load, counter_update_s=0.02)
        truth = simulate(gpu)
        with opened() as meter, Sampler([meter], rate_hz=50.0) as sampler:
            time.sleep(0.2)
            start = time.monotonic()
            made.set_load(load, 1.0, at_s=start + 0.5)
            made.set_load(load, 0.0, at_s=start + 1.0)
            time.sleep(1.5)
            end = time.monotonic()
            time.sleep(0.2)
        found = account_energy(sampler.series(), phases(window=(start, end)), TOKENS).energy
        true = truth.joules(0, start, end)
        assert true == pytest.approx(250.0 + 100.0 * (end - start), abs=1e-6)
        assert found.energy_joules == pytest.approx(true, abs=0.02 * 600.0 + 0.002 * true)

    def test_a_counter_with_a_wrong_gain_shows_in_the_ratio(self, simulate):
        gpu = Gpu(knots=made.constant(600.0), counter_update_s=0.02, counter_gain=0.84)
        simulate(gpu, epoch_s=time.monotonic() - 10.0)
        series, spans = sampled(2.0)
        (device,) = account_energy(series, spans, TOKENS).energy.devices
        ratio = device.counter_joules / device.integrated_instant_joules
        assert ratio == pytest.approx(0.84, abs=0.02)

    def test_the_counter_sees_what_a_windowed_sensor_does_not(self, simulate):
        knots = made.bursts(low=600.0, high=100.0, period_s=0.1, duty=0.25)
        gpu = Gpu(knots=knots, period_s=0.1, sensor="window", counter_update_s=0.02)
        truth = simulate(gpu, epoch_s=time.monotonic() - 10.0)
        series, spans = sampled(2.0)
        account = account_energy(series, spans, TOKENS, median_step_s=0.1)
        (device,) = account.energy.devices
        window = spans[0]
        true = truth.joules(0, window.start_monotonic_s, window.end_monotonic_s)
        assert device.counter_joules == pytest.approx(true, rel=0.02)
        assert device.integrated_instant_joules < 0.3 * true
        assert "alias_risk" in {flag.code for flag in account.flags}


class TestRefusals:
    def energy_of(self, simulate, *gpus, duration_s=0.8, **options):
        simulate(*gpus, epoch_s=options.pop("epoch_s", time.monotonic()))
        series, spans = sampled(duration_s)
        return series, account_energy(series, spans, TOKENS, **options)

    def test_a_gpu_lost_in_the_window_keeps_what_was_sampled(self, simulate):
        lost = Gpu(knots=made.constant(600.0), faults=(Fault("all", made.GPU_LOST, (0.7, 1e9)),))
        series, account = self.energy_of(simulate, with_uuid(LOADED, 2), lost)
        assert (account.energy.energy_joules, account.energy.reason) == (None, "gpu_lost")
        kept = series.samples(series.devices[1], "energy_counter_joules")
        assert len(kept) > 3

    def test_a_timeout_is_a_gap_that_a_counter_survives(self, simulate):
        gpu = Gpu(
            knots=made.constant(600.0),
            counter_update_s=0.02,
            faults=(Fault("all", made.TIMEOUT, (0.5, 0.7)),),
        )
        series, account = self.energy_of(simulate, gpu)
        assert account.energy.mean_power_watts == pytest.approx(600.0, rel=0.05)
        assert "timeout" in {r for each in series.readings for r in each.unavailable.values()}

    def test_a_driver_that_was_reloaded_ends_the_energy_of_its_gpus(self, simulate):
        simulate(LOADED, reload=(0.5, 0.6))
        series, spans = sampled(0.8)
        energy = account_energy(series, spans, TOKENS).energy
        assert (energy.energy_joules, energy.reason) == (None, "driver_reloaded")

    def test_a_part_of_a_gpu_has_no_energy_of_its_own(self, simulate):
        split = Gpu(knots=made.constant(600.0), mig=True)
        _, account = self.energy_of(simulate, split)
        assert (account.energy.energy_joules, account.energy.reason) == (None, "mig_enabled")

    def test_a_gpu_without_a_counter_has_no_energy_by_counter(self, simulate):
        gpu = Gpu(knots=made.constant(600.0), faults=(Fault("counter", made.NOT_SUPPORTED),))
        _, account = self.energy_of(simulate, gpu)
        assert (account.energy.energy_joules, account.energy.reason) == (None, "not_supported")
        assert account.energy.devices[0].integrated_instant_joules is not None

    def test_other_processes_are_flagged(self, simulate):
        gpu = Gpu(knots=made.constant(600.0), processes=((1, 0.0, 1e9), (4711, 0.0, 1e9)))
        _, account = self.energy_of(simulate, gpu, duration_s=1.3, own_processes=[1])
        (flag,) = [flag for flag in account.flags if flag.code == "contended"]
        assert "4711" in flag.message


def test_a_process_finds_the_simulator_by_its_library_path(simulate, nvml_library):
    simulate(Gpu(), with_uuid(Gpu(), 2))
    script = (
        "from llm_energy.power.detect import open_meters\n"
        "for meter in open_meters(cpu_model='Made CPU'):\n"
        "    print(*[device.id for device in meter.devices if device.simulated])\n"
    )
    environment = os.environ | {
        "LD_LIBRARY_PATH": str(nvml_library.parent),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    ran = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == [Gpu().uuid, with_uuid(Gpu(), 2).uuid]


def test_gpus_and_packages_are_metered_side_by_side(simulate, tmp_path):
    simulate(Gpu())
    root = powercap(tmp_path / "powercap", {"intel-rapl:0": ("package-0", 5)})
    meters = open_meters(cpu_model="Made CPU", powercap=root)
    assert [d.scope for meter in meters for d in meter.devices] == ["gpu_board", "cpu_package"]
    for meter in meters:
        meter.close()
