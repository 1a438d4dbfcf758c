"""The flags that the power series of a measurement raises, each with the numbers of its message."""

import dataclasses
import math

import pytest
from tests.llm_energy.power.made_power import (
    GPU,
    PACKAGE,
    load_of,
    phases,
    reading,
    series_of,
    together,
)

from llm_energy.power.accounting import account_energy
from llm_energy.power.meter import Stamp, State
from llm_energy.power.power_flags import DELIVERED_SHARE, SPIKE_LIMIT, foreign_processes
from llm_energy.power.series import Series
from llm_energy.results.parts import Tokens

TOKENS = Tokens(input=500, output=1000, requests=10)
PHASES = phases(idle=(4, 9), window=(14.03, 24.03))
OTHER = dataclasses.replace(GPU, id="GPU-2")


class TestFlags:
    def codes(self, series, **options):
        return set(self.messages(series, **options))

    def messages(self, series, **options):
        """The message of each flag, without the device, which it begins with."""
        flags = account_energy(series, PHASES, TOKENS, **options).flags
        return {flag.code: flag.message.removeprefix("GPU-1: ") for flag in flags}

    def with_state(self, **values):
        plain = series_of(load_of(600.0))
        kept = (dataclasses.replace(r, state=State(**values)) for r in plain.readings)
        return dataclasses.replace(plain, readings=tuple(kept))

    def test_a_plain_window_has_none(self):
        assert self.codes(self.with_state(), own_processes=[1]) == set()

    def test_decode_steps_in_time_with_the_sensor(self):
        found = self.messages(series_of(load_of(600.0)), median_step_s=0.05)
        assert found == {"alias_risk": "median time between tokens 50.0 ms"}
        cpu = series_of(load_of(10.0, idle=5.0), device=PACKAGE)
        assert self.codes(cpu, median_step_s=0.05) == set()

    def test_other_processes_on_the_gpu(self):
        series = self.with_state(process_ids=(7, 8, 9))
        assert self.messages(series, own_processes=[7]) == {"contended": "processes 8, 9"}
        series = self.with_state(process_ids=(7, 8))
        assert self.codes(series, own_processes=[7, 8]) == set()
        assert self.codes(series) == set()
        assert self.codes(series, own_processes=[9]) == set()  # ids of another namespace
        assert foreign_processes([State(process_ids=(9, 7)), State()], [7]) == [9]

    def test_heat_and_the_power_limit(self):
        heat_and_limit = self.with_state(throttle_reasons=0x64, sm_clock_mhz=1410.0)
        assert self.messages(heat_and_limit) == {
            "slowed_down": "hardware_thermal, software_thermal",
            "power_capped": "mean SM clock 1410.0 MHz",
        }

    def test_a_limit_that_stays_is_none(self):
        assert self.codes(self.with_state(power_limit_watts=690.0)) == set()

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
        def spike_of(watts):
            return series_of(lambda t: watts if 20.0 < t < 20.15 else load_of(600.0)(t))

        found = self.messages(spike_of(1100.0))
        assert found == {"power_spike": "1100 W at a limit of 700 W"}
        assert self.codes(spike_of(SPIKE_LIMIT * 700.0)) == set()

    def test_a_window_between_two_samples_has_none(self):
        between = phases(idle=(4, 9), window=(14.03, 14.07))
        account = account_energy(series_of(load_of(600.0)), between, TOKENS)
        assert account.energy.energy_joules == pytest.approx(24.0)
        assert account.flags == []

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
        found = account_energy(series, PHASES, TOKENS, method="integrated_instant").energy
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
        sound = account_energy(series_of(load_of(600.0)), PHASES, TOKENS).energy
        assert account.energy.edge_uncertainty_joules > sound.edge_uncertainty_joules

    def test_a_reading_that_took_long_inside_the_window_is_no_flag(self):
        account = account_energy(self.held_up(18.0), PHASES, TOKENS)
        assert (account.flags, account.energy.reason) == ([], None)

    def test_the_last_reading_may_be_the_one_that_took_too_long(self):
        series = self.held_up(24.0)
        cut = tuple(each for each in series.readings if each.monotonic_s < 24.3)
        found = account_energy(dataclasses.replace(series, readings=cut), PHASES, TOKENS).energy
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


class TestDeliveredRate:
    """600 W by a counter that is read at given times, in a window of 10 s."""

    def slow(self, times_s, *, rate_hz, read_s=0.09):
        readings = tuple(
            reading(time_s, energy_counter_joules=600.0 * time_s, read_s=read_s)
            for time_s in (*range(14), *times_s, *range(25, 30))
        )
        spans = phases(window=(14.0, 24.0))
        account = account_energy(Series((GPU,), readings, rate_hz), spans, TOKENS)
        assert account.energy.energy_joules == pytest.approx(6000.0)
        return [(flag.code, flag.message.partition(",")[0]) for flag in account.flags]

    @pytest.mark.parametrize(
        ("times_s", "delivered"),
        [
            ([14.0, *(20.0 + 0.5 * n for n in range(9))], "0.9"),  # the edges count
            ([14.5, 16.5], "0.5"),
            ([15.0], "0.1"),  # once in the window
            ([], "0.1"),
        ],
    )
    def test_it_is_that_of_the_readings_inside(self, times_s, delivered):
        message = f"{delivered} of 10 Hz; one reading takes 90.0 ms"
        assert self.slow(times_s, rate_hz=10.0) == [("slow_sampling", message)]

    def test_nine_tenths_of_the_requested_rate_are_enough(self):
        at_16_hz = [14.0 + n / 16 for n in range(161)]
        assert self.slow(at_16_hz, rate_hz=16.0 / DELIVERED_SHARE) == []
        ((code, _),) = self.slow(at_16_hz, rate_hz=16.1 / DELIVERED_SHARE)
        assert code == "slow_sampling"

    def test_ten_periods_are_enough_to_judge_it(self):
        every_2_s = [15.0, 17.0, 19.0, 21.0, 23.0]
        assert [code for code, _ in self.slow(every_2_s, rate_hz=1.0)] == ["slow_sampling"]
        assert self.slow(every_2_s, rate_hz=0.99) == []
