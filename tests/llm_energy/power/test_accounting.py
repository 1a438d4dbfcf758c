"""From a series to the energy of a result: known answers, scope, and one case for each refusal."""

import dataclasses
import math

import pytest
from tests.llm_energy.power.made_power import GPU, constant, phases, reading, series_of, together

from llm_energy.power.accounting import account_energy, unsampled
from llm_energy.power.meter import Device, Stamp, State
from llm_energy.power.power_flags import foreign_processes
from llm_energy.power.series import Series
from llm_energy.results.parts import Tokens

TOKENS = Tokens(input=500, output=1000, requests=10)
PHASES = phases(load=(1, 3), idle=(4, 9), warmup=(11, 14), window=(14.03, 24.03), tail=(24.03, 25))
OTHER = dataclasses.replace(GPU, id="GPU-2")
PACKAGE = Device(id="package-0", model="Made CPU", scope="cpu_package", counter_update_s=0.001)
MEMORY = dataclasses.replace(PACKAGE, id="package-0/dram", scope="dram")
PLATFORM = dataclasses.replace(PACKAGE, id="psys", scope="platform")


def load_of(watts, *, idle=100.0):
    """Idle until second 10, then the load."""
    return lambda t: idle if t < 10.0 else watts


def energy(series, **options):
    return account_energy(series, PHASES, options.pop("tokens", TOKENS), **options).energy


def used(series, busy):
    """The series with a utilisation of 100 % where `busy` is true of the time, 0 elsewhere."""
    kept = []
    for each in series.readings:
        percent = 100.0 if busy(each.monotonic_s) else 0.0
        kept.append(dataclasses.replace(each, state=State(utilisation_percent=percent)))
    return dataclasses.replace(series, readings=tuple(kept))


class TestKnownAnswers:
    def test_600_w_for_10_s_above_an_idle_of_100_w(self):
        found = energy(series_of(load_of(600.0)))
        assert found.energy_joules == pytest.approx(6000.0)
        assert found.mean_power_watts == pytest.approx(600.0)
        assert found.loaded_idle_power_watts == pytest.approx(100.0)
        assert found.energy_above_loaded_idle_joules == pytest.approx(5000.0)
        assert found.joules_per_output_token == pytest.approx(6.0)
        assert found.joules_per_token == pytest.approx(4.0)
        assert found.joules_per_request == pytest.approx(600.0)
        assert found.output_tokens_per_joule == pytest.approx(1 / 6.0)
        assert found.load_energy_joules == pytest.approx(200.0)
        assert found.warmup_energy_joules == pytest.approx(1800.0)
        assert (found.method, found.scope, found.reason) == ("counter", "gpu_board", None)

    @pytest.mark.parametrize("method", ["counter", "integrated_instant"])
    def test_one_method_serves_window_and_baseline(self, method):
        series = series_of(load_of(600.0), counter_gain=0.84)
        found = energy(series, method=method)
        gain = 0.84 if method == "counter" else 1.0
        assert found.energy_joules == pytest.approx(gain * 6000.0)
        assert found.loaded_idle_power_watts == pytest.approx(gain * 100.0)

    def test_every_source_stands_beside_the_chosen_one(self):
        (device,) = energy(series_of(load_of(600.0), counter_gain=0.84)).devices
        assert device.counter_joules == pytest.approx(5040.0)
        assert device.integrated_instant_joules == pytest.approx(6000.0)
        assert device.integrated_average_joules is None
        assert device.energy_joules == device.counter_joules
        assert device.update_period_s == pytest.approx(0.1)

    def test_a_wrong_gain_leaves_ratios_as_they_are(self):
        def joules(watts, gain):
            return energy(series_of(load_of(watts), counter_gain=gain)).energy_joules

        ratio = joules(600.0, 1.0) / joules(400.0, 1.0)
        assert joules(600.0, 0.84) / joules(400.0, 0.84) == pytest.approx(ratio, rel=1e-6)

    def test_gross_energy_ranks_and_energy_above_idle_may_say_the_opposite(self):
        slow = energy(
            series_of(load_of(300.0, idle=120.0)), tokens=Tokens(input=0, output=1000, requests=1)
        )
        fast = energy(
            series_of(load_of(500.0, idle=120.0)), tokens=Tokens(input=0, output=2000, requests=1)
        )
        assert slow.joules_per_output_token == pytest.approx(3.0)
        assert fast.joules_per_output_token == pytest.approx(2.5)
        assert slow.energy_above_loaded_idle_joules / 1000 == pytest.approx(1.8)
        assert fast.energy_above_loaded_idle_joules / 2000 == pytest.approx(1.9)

    def test_a_ramp_drifts_by_its_thirds(self):
        ramp = series_of(lambda t: 100.0 if t < 10.0 else 500.0 + 5.0 * (t - 14.03))
        account = account_energy(ramp, PHASES, TOKENS)
        assert account.power_drift_relative == pytest.approx(0.0656, abs=2e-4)
        assert sum(account.pieces_joules) == pytest.approx(account.energy.energy_joules)
        assert account.pieces_joules[-1] / account.pieces_joules[0] - 1.0 == pytest.approx(
            0.0885, abs=1e-3
        )

    def test_the_limits_of_the_sensors_and_the_edges_are_kept(self):
        found = energy(series_of(load_of(600.0)))
        assert (found.gain_limit_relative, found.offset_limit_watts) == (0.05, 5.0)
        assert found.edge_uncertainty_joules == pytest.approx(24.495, rel=1e-4)

    def test_what_lies_between_samples_of_rough_power_is_kept(self):
        rough = series_of(lambda t: load_of(600.0)(t) + 25.0 * (-1) ** round(10 * t))
        found = energy(rough, method="integrated_instant")
        expected = 0.1 * 50.0 * math.sqrt(101 / 2)
        assert found.sampling_uncertainty_joules == pytest.approx(expected, rel=1e-3)
        assert energy(rough).sampling_uncertainty_joules == 0.0

    @pytest.mark.parametrize("method", ["counter", "integrated_instant"])
    def test_the_load_that_follows_does_not_leak_into_the_baseline(self, method):
        series = series_of(load_of(600.0))
        spans = phases(idle=(4.03, 9.97), window=(14.0, 24.0))
        found = account_energy(series, spans, TOKENS, method=method).energy
        assert found.loaded_idle_power_watts == pytest.approx(100.0)

    def test_energy_above_idle_may_be_negative(self):
        # Half a watt below a baseline that scatters by several: possible, and not clamped.
        scatter = series_of(lambda t: 99.5 if t >= 10.0 else 100.0 + 5.0 * (-1) ** int(10 * t))
        found = energy(scatter)
        assert found.energy_above_loaded_idle_joules == pytest.approx(-5.0, abs=1.5)

    def test_a_third_of_which_nothing_is_known_has_no_drift(self):
        whole = series_of(load_of(600.0, idle=150.0))
        kept = tuple(r for r in whole.readings if not 15.05 < r.monotonic_s < 15.55)
        gap = dataclasses.replace(whole, readings=kept)
        account = account_energy(gap, PHASES, TOKENS, method="integrated_instant")
        assert account.energy.energy_joules == pytest.approx(6000.0)
        assert (account.power_drift_relative, account.pieces_joules) == (None, None)

    def test_less_than_a_joule_and_a_single_request_have_an_energy_of_each_too(self):
        single = Tokens(input=0, output=1, requests=1)
        found = energy(series_of(constant(0.05), device=PACKAGE), tokens=single)
        assert found.energy_joules == pytest.approx(0.5)
        assert found.joules_per_output_token == found.joules_per_request == found.energy_joules
        assert found.output_tokens_per_joule == pytest.approx(2.0)

    def test_a_window_whose_tokens_are_not_known_keeps_its_energy(self):
        found = energy(series_of(load_of(600.0)), tokens=None)
        assert found.energy_joules == pytest.approx(6000.0)
        assert found.joules_per_token is found.joules_per_request is None


class TestScope:
    def host(self):
        return together(
            series_of(constant(10.0), device=PACKAGE),
            series_of(constant(2.0), device=MEMORY),
            series_of(constant(15.0), device=PLATFORM),
        )

    def test_package_and_memory_are_120_j_and_the_platform_stands_apart(self):
        found = energy(self.host())
        assert found.scope == "cpu_package"
        assert found.energy_joules == pytest.approx(100.0)
        assert found.gpu_cpu_dram_joules == pytest.approx(120.0)
        by_id = {device.device: device for device in found.devices}
        assert by_id["psys"].energy_joules == pytest.approx(150.0)
        assert [name for name, device in by_id.items() if device.counted] == ["package-0"]

    def test_gpu_and_host_are_never_one_scope(self):
        found = energy(together(self.host(), series_of(load_of(600.0))))
        assert found.scope == "gpu_board"
        assert found.energy_joules == pytest.approx(6000.0)
        assert found.gpu_cpu_dram_joules == pytest.approx(6120.0)

    def test_without_memory_there_is_no_sum_over_the_host(self):
        package = series_of(constant(10.0), device=PACKAGE)
        assert energy(package).gpu_cpu_dram_joules is None

    def test_with_the_memory_of_one_of_two_packages_neither(self):
        second = dataclasses.replace(PACKAGE, id="package-1")
        host = together(self.host(), series_of(constant(10.0), device=second))
        assert energy(host).energy_joules == pytest.approx(200.0)
        assert energy(host).gpu_cpu_dram_joules is None

    def test_only_the_gpus_that_were_used_are_added_up(self):
        both = together(series_of(load_of(600.0)), series_of(load_of(400.0), device=OTHER))
        assert energy(both).energy_joules == pytest.approx(10_000.0)
        one = energy(both, gpus=["GPU-2"])
        assert one.energy_joules == pytest.approx(4000.0)
        assert [device.counted for device in one.devices] == [False, True]

    def test_the_sum_over_the_host_has_only_the_gpus_that_were_used(self):
        gpus = series_of(load_of(600.0)), series_of(load_of(400.0), device=OTHER)
        found = energy(together(self.host(), *gpus), gpus=["GPU-2"])
        assert found.gpu_cpu_dram_joules == pytest.approx(4120.0)

    def test_the_scope_may_be_requested(self):
        both = together(self.host(), series_of(load_of(600.0)))
        assert energy(both, scope="cpu_package").energy_joules == pytest.approx(100.0)

    def test_what_is_not_known_at_the_edges_adds_up_over_gpus(self):
        both = together(series_of(load_of(600.0)), series_of(load_of(600.0), device=OTHER))
        one = energy(series_of(load_of(600.0)))
        assert energy(both).edge_uncertainty_joules == pytest.approx(
            2 * one.edge_uncertainty_joules
        )

    def test_each_scope_has_limits_of_its_own(self):
        assert energy(self.host()).offset_limit_watts == 0.0

    def test_a_simulated_sensor_marks_the_energy(self):
        simulated = dataclasses.replace(GPU, simulated=True)
        assert energy(series_of(load_of(600.0), device=simulated)).simulated
        assert not energy(series_of(load_of(600.0))).simulated


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

    def test_no_device(self):
        assert self.refused(Series((), (), 10.0)) == "no_meter"

    def test_no_device_of_the_scope(self):
        assert self.refused(series_of(load_of(600.0)), scope="cpu_package") == "no_meter"

    def test_a_gpu_that_was_used_but_is_not_metered(self):
        reason = self.refused(series_of(load_of(600.0)), gpus=["GPU-1", "GPU-2"])
        assert reason == "gpu_not_metered"

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


class TestFlags:
    def codes(self, series, **options):
        return {flag.code for flag in account_energy(series, PHASES, TOKENS, **options).flags}

    def with_state(self, **values):
        plain = series_of(load_of(600.0))
        kept = (dataclasses.replace(r, state=State(**values)) for r in plain.readings)
        return dataclasses.replace(plain, readings=tuple(kept))

    def test_a_plain_window_has_none(self):
        assert self.codes(self.with_state(), own_processes=[1]) == set()

    def test_decode_steps_in_time_with_the_sensor(self):
        assert self.codes(series_of(load_of(600.0)), median_step_s=0.05) == {"alias_risk"}
        cpu = series_of(constant(10.0), device=PACKAGE)
        assert self.codes(cpu, median_step_s=0.05) == set()

    def test_other_processes_on_the_gpu(self):
        series = self.with_state(process_ids=(7, 8))
        assert self.codes(series, own_processes=[7]) == {"contended"}
        assert self.codes(series, own_processes=[7, 8]) == set()
        assert self.codes(series) == set()
        assert self.codes(series, own_processes=[9]) == set()  # ids of another namespace
        assert foreign_processes([State(process_ids=(9, 7)), State()], [7]) == [9]

    def test_heat_and_the_power_limit(self):
        assert self.codes(self.with_state(throttle_reasons=0x24)) == {"slowed_down", "power_capped"}

    def test_a_limit_that_changes_inside_the_window(self):
        plain = series_of(load_of(730.0))
        kept = []
        for each in plain.readings:
            limit = 690.0 if each.monotonic_s < 18.0 else 720.0
            kept.append(dataclasses.replace(each, state=State(power_limit_watts=limit)))
        found = account_energy(dataclasses.replace(plain, readings=tuple(kept)), PHASES, TOKENS)
        assert [flag.code for flag in found.flags] == ["power_limit_changed"]
        assert "690 to 720 W" in found.flags[0].message
        assert found.energy.devices[0].power_limit_watts == 720.0

    def test_a_single_sample_far_above_the_limit(self):
        series = series_of(lambda t: 1100.0 if 20.0 < t < 20.15 else load_of(600.0)(t))
        assert self.codes(series) == {"power_spike"}

    def test_gaps_that_hide_little_are_kept_with_their_bound(self):
        plain = series_of(load_of(600.0), end=80.0)
        kept = tuple(r for r in plain.readings if not 18.0 < r.monotonic_s < 19.0)
        series = dataclasses.replace(plain, readings=kept)
        spans = phases(idle=(4, 9), window=(14.03, 74.03))
        account = account_energy(series, spans, TOKENS, method="integrated_instant")
        assert [flag.code for flag in account.flags] == ["sampling_gap"]
        assert "by up to 1.39%" in account.flags[0].message
        hidden = 1.0 * (600.0 - 100.0) / math.sqrt(3.0)
        assert account.energy.gap_uncertainty_joules == pytest.approx(hidden)
        counted = account_energy(series, spans, TOKENS)
        assert (counted.flags, counted.energy.gap_uncertainty_joules) == ([], 0.0)

    def test_an_idle_gap_of_four_of_ten_seconds_is_no_energy(self):
        plain = series_of(load_of(600.0))
        kept = tuple(r for r in plain.readings if not 18.0 < r.monotonic_s < 22.0)
        series = dataclasses.replace(plain, readings=kept)
        found = energy(series, method="integrated_instant")
        assert (found.energy_joules, found.reason) == (None, "sampling_gap")

    def held_up(self, at, **changes):
        """600 W read at 10 Hz; the pass that began at `at` was held up for 0.46 s."""
        readings = []
        for each in series_of(load_of(600.0)).readings:
            if abs(each.monotonic_s - at) < 0.01:
                middle_s = each.monotonic_s + 0.23
                each = dataclasses.replace(each, monotonic_s=middle_s, read_s=0.46, **changes)
            elif at < each.monotonic_s < at + 0.5:
                continue
            readings.append(each)
        return Series((GPU,), tuple(readings), 10.0)

    def test_a_pass_that_was_held_up_does_not_move_the_counter(self):
        """Stamped in the middle of the pass, its counter would be 0.23 s · 600 W off."""
        series = self.held_up(24.0, stamps={"energy_counter_joules": Stamp(24.0, 0.001)})
        account = account_energy(series, PHASES, TOKENS)
        assert account.energy.energy_joules == pytest.approx(6000.0)
        assert account.flags == []

    def test_an_edge_that_lost_its_reading_is_flagged_and_wider(self):
        account = account_energy(self.held_up(24.0), PHASES, TOKENS)
        assert account.energy.energy_joules == pytest.approx(6000.0)
        (flag,) = account.flags
        assert (flag.code, flag.message) == ("late_reading", "GPU-1: it took 0.46 s")
        sound = energy(series_of(load_of(600.0)))
        assert account.energy.edge_uncertainty_joules > sound.edge_uncertainty_joules

    def test_a_reading_that_took_long_inside_the_window_is_no_flag(self):
        account = account_energy(self.held_up(18.0), PHASES, TOKENS)
        assert (account.flags, account.energy.reason) == ([], None)

    def test_the_last_reading_may_be_the_one_that_took_too_long(self):
        series = self.held_up(24.0)
        cut = tuple(each for each in series.readings if each.monotonic_s < 24.3)
        found = energy(dataclasses.replace(series, readings=cut))
        assert (found.energy_joules, found.reason) == (None, "late_reading")

    def test_a_rate_below_the_requested_one_is_flagged_with_the_time_of_a_reading(self):
        both = together(series_of(load_of(600.0)), series_of(load_of(400.0), device=OTHER))
        account = account_energy(dataclasses.replace(both, rate_hz=15.0), PHASES, TOKENS)
        (flag,) = account.flags
        assert flag.code == "slow_sampling"
        assert flag.message == ("10.0 of 15 Hz; one reading takes 1.0 ms, of 2 devices in turn")
        assert self.codes(dataclasses.replace(both, rate_hz=11.0)) == set()

    def test_a_window_of_few_periods_shows_no_rate(self):
        slow = series_of(load_of(600.0), rate=0.5, start=0.05)
        assert self.codes(dataclasses.replace(slow, rate_hz=0.99)) == set()


def test_readings_that_never_came_are_no_samples():
    empty = Series((GPU,), (reading(1.0), reading(30.0)), 10.0)
    assert energy(empty).reason == "no_samples"
