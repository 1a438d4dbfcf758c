"""Energy by the NVML meter, on NVIDIA's own binding and a library whose true energy is known."""

import dataclasses
import time

import pytest
from tests.llm_energy.power.made_power import phases
from tests.llm_energy.power.simulated_gpus import AFTER_OPENING, LOADED, opened, sampled
from tests.nvml_simulator import scenario as made
from tests.nvml_simulator.library import VARIABLE
from tests.nvml_simulator.scenario import Fault, Gpu, Scenario, with_uuid

from llm_energy.power.accounting import account_energy
from llm_energy.power.sampler import Sampler
from llm_energy.results.parts import Tokens

TOKENS = Tokens(input=10, output=100, requests=1)
FOR_A_MOMENT = (AFTER_OPENING[0], AFTER_OPENING[0] + 0.8)


class TestAgainstTheTruth:
    """Three GPUs in one window of 2 s."""

    STEADY, WRONG_GAIN, BURSTS = (
        LOADED,
        with_uuid(dataclasses.replace(LOADED, counter_gain=0.84), 2),
        with_uuid(
            Gpu(
                knots=made.bursts(low=600.0, high=100.0, period_s=0.1, duty=0.25),
                period_s=0.1,
                sensor="window",
                counter_update_s=0.02,
            ),
            3,
        ),
    )

    @pytest.fixture(scope="class")
    @classmethod
    def window(cls, tmp_path_factory):
        """(the truth, series, phases) of all three, sampled once."""
        gpus = (cls.STEADY, cls.WRONG_GAIN, cls.BURSTS)
        truth = Scenario(gpus, epoch_s=time.monotonic() - 10.0)
        file = truth.write(tmp_path_factory.mktemp("truth") / "scenario.txt")
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv(VARIABLE, str(file))
            return truth, *sampled(2.0)

    def joules(self, truth, spans, gpu):
        window = spans[0]
        return truth.joules(gpu, window.start_monotonic_s, window.end_monotonic_s)

    @pytest.mark.parametrize("method", ["counter", "integrated_instant", "integrated_average"])
    def test_a_window_inside_steady_load(self, window, method):
        truth, series, spans = window
        gpus = [self.STEADY.uuid]
        found = account_energy(series, spans, TOKENS, method=method, gpus=gpus).energy
        true = self.joules(truth, spans, 0)
        assert found.energy_joules == pytest.approx(true, abs=0.02 * 600.0 + 0.002 * true)
        assert found.simulated

    def test_a_counter_with_a_wrong_gain_shows_in_the_ratio(self, window):
        _, series, spans = window
        device = self.device_of(account_energy(series, spans, TOKENS), self.WRONG_GAIN)
        ratio = device.counter_joules / device.integrated_instant_joules
        assert ratio == pytest.approx(0.84, abs=0.02)

    def test_the_counter_sees_what_a_windowed_sensor_does_not(self, window):
        truth, series, spans = window
        account = account_energy(series, spans, TOKENS, median_step_s=0.1, gpus=[self.BURSTS.uuid])
        device = self.device_of(account, self.BURSTS)
        true = self.joules(truth, spans, 2)
        assert device.counter_joules == pytest.approx(true, rel=0.02)
        assert device.integrated_instant_joules < 0.3 * true
        assert "alias_risk" in {flag.code for flag in account.flags}

    def device_of(self, account, gpu):
        return next(device for device in account.energy.devices if device.device == gpu.uuid)

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


def test_a_limit_that_a_laptop_raises_under_load_is_the_one_that_counts(simulate, tmp_path):
    load = tmp_path / "load"
    simulate(
        Gpu(
            idle_watts=20.0,
            limit_watts=80.0,
            loaded_limit_watts=115.0,
            knots=made.constant(105.0),
            counter_update_s=0.02,
            load_file=load,
        )
    )
    with opened() as meter, Sampler([meter], rate_hz=50.0) as sampler:
        made.set_load(load, 1.0)
        time.sleep(0.5)
        start = time.monotonic()
        time.sleep(2.1)
        end = time.monotonic()
        time.sleep(0.2)
    found = account_energy(sampler.series(), phases(window=(start, end)), TOKENS)
    assert found.energy.mean_power_watts == pytest.approx(105.0, rel=0.02)
    (device,) = found.energy.devices
    assert device.power_limit_watts == 115.0
    assert "power_limit_changed" not in {flag.code for flag in found.flags}


def test_two_gpus_that_are_read_more_slowly_than_requested(simulate):
    """Eight queries of 3 ms each leave 41 passes a second at most, of 100 that were requested."""
    gpu = dataclasses.replace(LOADED, query_s=0.003)
    simulate(gpu, with_uuid(gpu, 2))
    series, spans = sampled(0.5, rate_hz=100.0)
    (flag,) = [f for f in account_energy(series, spans, TOKENS).flags if f.code == "slow_sampling"]
    assert "of 100 Hz; one reading takes " in flag.message
    assert flag.message.endswith("of 2 devices in turn")


class TestRefusals:
    """Six GPUs that go wrong in ways of their own, in one window."""

    SOUND = LOADED
    LOST, LATE, SPLIT, UNCOUNTED, CONTENDED = (
        with_uuid(dataclasses.replace(LOADED, **changes), number)
        for number, changes in enumerate(
            (
                {"faults": (Fault("all", made.GPU_LOST, AFTER_OPENING),)},
                {"faults": (Fault("all", made.TIMEOUT, FOR_A_MOMENT),)},
                {"mig": True},
                {"faults": (Fault("counter", made.NOT_SUPPORTED),)},
                {"processes": ((1, 0.0, 1e9), (4711, 0.0, 1e9))},
            ),
            start=2,
        )
    )

    @pytest.fixture(scope="class")
    @classmethod
    def window(cls, tmp_path_factory):
        """(series, phases) of all of them, sampled once."""
        gpus = (cls.SOUND, cls.LOST, cls.LATE, cls.SPLIT, cls.UNCOUNTED, cls.CONTENDED)
        file = tmp_path_factory.mktemp("refusals") / "scenario.txt"
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv(VARIABLE, str(Scenario(gpus).write(file)))
            return sampled(AFTER_OPENING[0] + 1.0)

    def account(self, window, *gpus, **options):
        series, spans = window
        return account_energy(series, spans, TOKENS, gpus=[gpu.uuid for gpu in gpus], **options)

    def test_a_gpu_lost_in_the_window_keeps_what_was_sampled(self, window):
        energy = self.account(window, self.SOUND, self.LOST).energy
        assert (energy.energy_joules, energy.reason) == (None, "gpu_lost")
        series, _ = window
        (lost,) = [device for device in series.devices if device.id == self.LOST.uuid]
        assert len(series.samples(lost, "energy_counter_joules")) > 3

    def test_a_timeout_is_a_gap_that_a_counter_survives(self, window):
        energy = self.account(window, self.LATE).energy
        assert energy.mean_power_watts == pytest.approx(600.0, rel=0.05)
        own = [reading for reading in window[0].readings if reading.device == self.LATE.uuid]
        assert "timeout" in {reason for each in own for reason in each.unavailable.values()}

    def test_a_driver_that_was_reloaded_ends_the_energy_of_its_gpus(self, simulate):
        simulate(LOADED, reload=(AFTER_OPENING[0], AFTER_OPENING[0] + 0.5))
        series, spans = sampled(AFTER_OPENING[0] + 0.6)
        energy = account_energy(series, spans, TOKENS).energy
        assert (energy.energy_joules, energy.reason) == (None, "driver_reloaded")

    def test_a_part_of_a_gpu_has_no_energy_of_its_own(self, window):
        energy = self.account(window, self.SPLIT).energy
        assert (energy.energy_joules, energy.reason) == (None, "mig_enabled")

    def test_a_gpu_without_a_counter_has_no_energy_by_counter(self, window):
        energy = self.account(window, self.UNCOUNTED).energy
        assert (energy.energy_joules, energy.reason) == (None, "not_supported")
        by_id = {device.device: device for device in energy.devices}
        assert by_id[self.UNCOUNTED.uuid].integrated_instant_joules is not None

    def test_other_processes_are_flagged(self, window):
        account = self.account(window, self.CONTENDED, own_processes=[1])
        (flag,) = [flag for flag in account.flags if flag.code == "contended"]
        assert "4711" in flag.message
