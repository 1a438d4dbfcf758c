"""Energies that are refused, each with its reason."""

import dataclasses

import pytest
from tests.llm_energy.power.made_energy import OTHER, PHASES, TOKENS, energy
from tests.llm_energy.power.made_power import (
    GPU,
    constant,
    load_of,
    phases,
    reading,
    series_of,
    together,
)

from llm_energy.power.accounting import account_energy, unsampled
from llm_energy.power.meter import State
from llm_energy.power.series import Series
from llm_energy.results.parts import Tokens


def used(series, busy):
    """The series with a utilisation of 100 % where `busy` is true of the time, 0 elsewhere."""
    kept = []
    for each in series.readings:
        percent = 100.0 if busy(each.monotonic_s) else 0.0
        kept.append(dataclasses.replace(each, state=State(utilisation_percent=percent)))
    return dataclasses.replace(series, readings=tuple(kept))


class TestRefusals:
    def refused(self, series, **options):
        found = energy(series, **options)
        assert found.energy_joules is None
        assert found.joules_per_output_token is None
        assert found.gain_limit_relative is None
        assert found.edge_uncertainty_joules is None
        assert found.energy_above_loaded_idle_joules is None
        return found.reason

    def test_no_series(self):
        assert self.refused(None) == "no_meter"
        assert not energy(None).simulated

    def test_no_device(self):
        assert self.refused(Series((), (), 10.0)) == "no_meter"

    def test_no_device_of_the_scope(self):
        assert self.refused(series_of(load_of(600.0)), scope="cpu_package") == "no_meter"

    def test_a_gpu_that_was_used_but_is_not_metered(self):
        reason = self.refused(series_of(load_of(600.0)), gpus=["GPU-1", "GPU-2"])
        assert reason == "gpu_not_metered"

    def test_a_gpu_that_is_not_metered_goes_before_one_that_was_lost(self):
        lost = series_of(load_of(600.0), lost_at=20.0)
        assert self.refused(lost, gpus=["GPU-1"]) == "gpu_lost"
        assert self.refused(lost, gpus=["GPU-1", "GPU-2"]) == "gpu_not_metered"

    def test_one_of_two_gpus_lost_is_no_energy_not_half_of_it(self):
        lost = series_of(load_of(600.0), device=OTHER, lost_at=20.0)
        both = together(series_of(load_of(600.0)), lost)
        assert self.refused(both) == "gpu_lost"
        devices = energy(both).devices
        assert [device.reason for device in devices] == [None, "gpu_lost"]
        assert energy(both).loaded_idle_power_watts == pytest.approx(200.0)
        assert energy(both).warmup_energy_joules == pytest.approx(3600.0)

    def test_a_source_that_the_device_does_not_have(self):
        reason = self.refused(series_of(load_of(600.0)), method="integrated_average")
        assert reason == "not_supported"

    def test_a_device_whose_energy_must_not_be_used(self):
        split = dataclasses.replace(GPU, refusal="mig_enabled")
        assert self.refused(series_of(load_of(600.0), device=split)) == "mig_enabled"

    def test_a_series_that_ends_inside_the_window(self):
        assert self.refused(series_of(load_of(600.0), end=20.0)) == "no_sample_after"

    def test_a_window_that_was_left_unread_on_purpose_has_a_reason_of_its_own(self):
        found = unsampled(energy(series_of(load_of(600.0), end=14.0)))
        assert (found.energy_joules, found.reason) == (None, "sampler_off")
        assert [device.reason for device in found.devices] == ["sampler_off"]
        assert found.loaded_idle_power_watts == pytest.approx(100.0)
        lost = unsampled(energy(series_of(load_of(600.0), end=14.0, lost_at=8.0)))
        assert lost.reason == "gpu_lost"

    def test_power_that_reads_the_same_at_rest_and_at_work(self):
        def working(series):
            return used(series, lambda time_s: time_s > 10.0)

        frozen, moving = (working(series_of(p)) for p in (constant(400.0), load_of(600.0)))
        assert self.refused(frozen, method="integrated_instant") == "power_stuck"
        assert energy(frozen).energy_joules == pytest.approx(4000.0)
        assert energy(moving, method="integrated_instant").energy_joules == pytest.approx(6000.0)

    def test_power_that_never_changes_on_a_device_that_does_not_report_its_utilisation(self):
        series = series_of(constant(80.0))
        unknown = tuple(dataclasses.replace(each, state=None) for each in series.readings)
        silent = dataclasses.replace(series, readings=unknown)
        assert self.refused(silent, method="integrated_instant") == "power_stuck"

    @pytest.mark.parametrize("spans", [PHASES, phases(window=(14.03, 24.03))])
    def test_a_steady_sensor_is_not_stuck_because_utilisation_was_read_between_bursts(self, spans):
        bursts = used(series_of(constant(400.0)), lambda time_s: round(10.0 * time_s) % 4 == 0)
        found = account_energy(bursts, spans, TOKENS, method="integrated_instant").energy
        assert found.energy_joules == pytest.approx(4000.0)

    @pytest.mark.parametrize("gain", [352.0, 0.01])
    @pytest.mark.parametrize("method", ["counter", "integrated_instant"])
    def test_two_sensors_of_which_one_is_broken_whatever_the_limit(self, gain, method):
        unlimited = dataclasses.replace(GPU, power_limit_watts=None)
        series = series_of(load_of(8.0), device=unlimited, counter_gain=gain)
        assert self.refused(series, method=method) == "sensors_disagree"

    def test_a_baseline_of_which_one_sensor_is_broken(self):
        series = series_of(load_of(600.0))
        readings = tuple(
            dataclasses.replace(each, instant_power_watts=0.3) if each.monotonic_s < 10.0 else each
            for each in series.readings
        )
        found = energy(dataclasses.replace(series, readings=readings))
        assert found.energy_joules == pytest.approx(6000.0)
        assert found.loaded_idle_power_watts is None
        assert found.energy_above_loaded_idle_joules is None

    def test_a_mean_above_the_enforced_limit(self):
        assert self.refused(series_of(load_of(800.0))) == "mean_power_above_limit"

    def test_a_mean_below_the_loaded_idle(self):
        assert self.refused(series_of(load_of(50.0))) == "mean_power_below_idle"

    def test_a_measurement_without_a_window_keeps_what_it_spent(self):
        found = account_energy(series_of(load_of(600.0)), phases(load=(1, 3)), None).energy
        assert (found.energy_joules, found.reason) == (None, "no_window")
        assert found.load_energy_joules == pytest.approx(200.0)

    def test_no_baseline_costs_only_what_needs_it(self):
        found = account_energy(
            series_of(load_of(600.0)), phases(window=(14.0, 24.0)), TOKENS
        ).energy
        assert found.energy_joules == pytest.approx(6000.0)
        assert found.loaded_idle_power_watts is None
        assert found.energy_above_loaded_idle_joules is None

    def test_no_tokens_is_no_energy_per_token(self):
        found = energy(series_of(load_of(600.0)), tokens=Tokens(input=0, output=0, requests=0))
        assert found.energy_joules == pytest.approx(6000.0)
        assert found.joules_per_output_token is None
        assert found.output_tokens_per_joule is None


def test_readings_that_never_came_are_no_samples():
    empty = Series((GPU,), (reading(1.0), reading(30.0)), 10.0)
    assert energy(empty).reason == "no_samples"
