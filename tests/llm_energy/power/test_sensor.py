"""One device of a series: what each of its sources gives over an interval, and what bounds it."""

import dataclasses
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy.power.made_power import GPU, constant, reading, series_of

from llm_energy.power.counter import counter_energy
from llm_energy.power.integration import integrate
from llm_energy.power.meter import Device, Stamp, State
from llm_energy.power.power_range import PowerRange
from llm_energy.power.sensor import Sensor
from llm_energy.power.series import Series

PACKAGE = Device(
    id="package-0",
    model="Made CPU",
    scope="cpu_package",
    counter_range_joules=1000.0,
    counter_update_s=0.001,
    power_bound_watts=500.0,
)


def sensor_of(power, *, device=GPU, **options):
    return Sensor(device, series_of(power, device=device, **options))


def reads(times, joules, *, device=PACKAGE, **values):
    """A sensor whose counter was read at these times."""
    readings = [
        reading(t, device=device.id, energy_counter_joules=joules(t), **values) for t in times
    ]
    return Sensor(device, Series((device,), tuple(readings), 10.0))


TENTHS = [n / 10 for n in range(301)]


class TestEnergy:
    def test_a_counter_is_taken_with_all_that_is_known_of_its_device(self):
        found = sensor_of(lambda t: 400.0 + 200.0 * (t > 10.02))
        counter = found.series.samples(GPU, "energy_counter_joules")
        known = {
            "update_period_s": 0.1,
            "power": found.series.samples(GPU, "instant_power_watts"),
            "possible": PowerRange(400.0, 700.0),
        }
        expected = counter_energy(counter, 10.05, 20.05, **known)
        amount = found.energy("counter", 10.05, 20.05)
        assert amount.joules == expected.joules
        assert amount.edge_uncertainty_joules == pytest.approx(expected.edge_uncertainty_joules)

    def test_in_a_pause_a_counter_may_have_seen_any_power_of_its_device(self):
        device = dataclasses.replace(PACKAGE, counter_range_joules=None)
        found = reads([0.0, 0.1, 4.1, 4.2, 9.0], lambda t: 60.0 * t, device=device)
        counter = found.series.samples(device, "energy_counter_joules")
        known = {"update_period_s": 0.001, "power_bound_watts": 500.0}
        expected = counter_energy(counter, 2.1, 9.0, possible=PowerRange(60.0, 500.0), **known)
        amount = found.energy("counter", 2.1, 9.0)
        assert amount.edge_uncertainty_joules == pytest.approx(expected.edge_uncertainty_joules)

    def test_power_is_integrated_with_the_update_period_that_is_seen(self):
        found = sensor_of(lambda t: 400.0 + 20.0 * (int(t / 0.5) % 2))
        instant = found.series.samples(GPU, "instant_power_watts")
        known = {"update_period_s": 0.5, "possible": PowerRange(400.0, 700.0)}
        amount = found.energy("integrated_instant", 10.05, 20.05)
        assert amount == integrate(instant, 10.05, 20.05, **known)
        assert amount.uncertainty_joules > 0.0

    def test_a_counter_that_wraps_counts_on(self):
        found = reads(TENTHS, lambda t: (950.0 + 60.0 * t) % 1000.0)
        assert found.energy("counter", 0.0, 30.0).joules == pytest.approx(1800.0)

    def test_a_fall_that_the_device_cannot_have_drawn_is_a_reset(self):
        found = reads(TENTHS, lambda t: 500.0 + 10.0 * t if t < 15.0 else 10.0 * t)
        assert found.energy("counter", 0.0, 30.0).reason == "counter_reset"

    def test_a_pause_in_which_it_could_wrap_twice_is_a_gap(self):
        found = reads([0.0, 1.0, 3.5, 4.5], lambda t: 60.0 * t)
        assert found.energy("counter", 0.0, 4.5).reason == "sampling_gap"

    @pytest.mark.parametrize(
        ("late_s", "span", "reason"),
        [
            (0.5, (0.5, 3.0), "late_reading"),
            (0.7, (0.5, 3.0), "no_sample_before"),
            (4.5, (1.0, 4.5), "late_reading"),
            (4.3, (1.0, 4.5), "no_sample_after"),
        ],
    )
    def test_a_reading_that_took_too_long_is_the_reason_on_its_own_side(self, late_s, span, reason):
        known = reads([1.0, 2.0, 3.0, 4.0], lambda t: 60.0 * t)
        late = reading(late_s, device=PACKAGE.id, energy_counter_joules=1.0, read_s=0.3)
        readings = sorted([*known.series.readings, late], key=lambda r: r.monotonic_s)
        found = Sensor(PACKAGE, dataclasses.replace(known.series, readings=tuple(readings)))
        assert found.energy("counter", *span).reason == reason

    def test_beside_a_moment_the_longest_reading_that_was_left_out_counts(self):
        kept = [reading(t, energy_counter_joules=60.0 * t) for t in (0.0, 1.0, 2.0, 3.0, 4.0)]
        late = [
            reading(t, energy_counter_joules=60.0 * t, read_s=read_s)
            for t, read_s in ((1.3, 0.3), (1.5, 0.5), (1.8, 0.4), (3.5, 0.9))
        ]
        readings = sorted([*kept, *late], key=lambda r: r.monotonic_s)
        found = Sensor(GPU, Series((GPU,), tuple(readings), 1.0))
        assert found.late_at("counter", 1.4) == Stamp(1.5, 0.5)
        assert found.late_at("counter", 2.0) is found.late_at("counter", 2.5) is None


class TestBaseline:
    def test_what_instant_power_still_says_of_the_load_before_is_left_out(self):
        """A tenth of a second, its update period; then 200 W for 0.9 s and 100 W for 4 s."""
        found = sensor_of(lambda t: 600.0 if t < 4.05 else 200.0 if t < 5.05 else 100.0 + t % 0.3)
        instant = found.series.samples(GPU, "instant_power_watts")
        joules = integrate(instant, 4.1, 9.0, update_period_s=0.1).joules
        idle = found.baseline("integrated_instant", 4.0, 9.0)
        assert idle.power_watts == pytest.approx(joules / 4.9)

    def test_average_power_holds_the_last_second(self):
        readings = tuple(
            reading(t, average_power_watts=600.0 if t < 4.95 else 100.0 + t % 0.3) for t in TENTHS
        )
        found = Sensor(GPU, Series((GPU,), readings, 10.0))
        idle = found.baseline("integrated_average", 4.0, 9.0)
        assert 100.0 < idle.power_watts < 100.3

    def test_two_samples_are_the_fewest(self):
        found = sensor_of(constant(100.0))
        assert found.baseline("integrated_instant", 4.0, 4.15).power_watts == pytest.approx(100.0)
        assert found.baseline("integrated_instant", 4.0, 4.05) is None


class TestPower:
    def test_without_instant_power_it_is_what_the_counter_implies(self):
        found = reads(TENTHS, lambda t: 10.0 * t)
        assert found.power(1.0, 2.0).values == pytest.approx([10.0] * 10)
        assert sensor_of(constant(80.0)).power(1.0, 2.0).values == (80.0,) * 11

    def test_it_may_have_been_any_from_the_lowest_seen_to_the_highest_limit(self):
        plain = sensor_of(lambda t: 100.0 + t)
        assert plain.possible_power == PowerRange(100.0, 700.0)
        assert sensor_of(lambda t: 100.0 + 30.0 * t).possible_power == PowerRange(100.0, 1000.0)
        states = tuple(
            dataclasses.replace(r, state=State(power_limit_watts=720.0))
            for r in plain.series.readings
        )
        raised = Sensor(GPU, dataclasses.replace(plain.series, readings=states))
        assert raised.possible_power == PowerRange(100.0, 720.0)
        assert Sensor(PACKAGE, Series((PACKAGE,), (), 10.0)).possible_power == PowerRange(
            0.0, 500.0
        )

    def test_a_counter_that_is_reset_or_jumps_implies_no_power(self):
        for step_joules in (-900.0, 900.0):
            found = reads(TENTHS, lambda t, step=step_joules: 10.0 * t + 950.0 + (t > 5.05) * step)
            assert found.possible_power == PowerRange(pytest.approx(10.0), 500.0)
            assert len(found.power(0.0, 30.0)) == len(TENTHS) - 2

    def test_a_limit_of_nothing_is_none(self):
        unlimited = dataclasses.replace(GPU, power_limit_watts=None)
        readings = tuple(reading(t, state=State(power_limit_watts=0.0)) for t in (0.0, 1.0, 2.0))
        found = Sensor(unlimited, Series((unlimited,), readings, 1.0))
        assert found.power_limit_watts(0.0, 2.0) is None
        assert [len(found.states(*span)) for span in ((0.0, 2.0), (0.5, 1.0))] == [3, 1]
        assert Sensor(GPU, Series((GPU,), (), 1.0)).states(0.0, 2.0) == []

    def test_a_device_without_a_known_bound_has_none(self):
        wall = Device(id="wall", model="Made meter", scope="wall")
        assert Sensor(wall, Series((wall,), (), 1.0)).power_bound_watts == math.inf
        assert Sensor(PACKAGE, Series((PACKAGE,), (), 1.0)).power_bound_watts == 500.0


class TestParts:
    """Parts of an interval whose energy is known, such as the gaps between requests."""

    @pytest.mark.parametrize("method", ["counter", "integrated_instant"])
    @given(cuts=st.lists(st.floats(0.05, 19.95), max_size=30))
    def test_all_parts_are_the_whole(self, method, cuts):
        found = sensor_of(lambda t: 400.0 + 20.0 * (int(t / 0.5) % 2))
        edges = sorted([0.05, *cuts, 19.95])
        whole = found.energy(method, 0.05, 19.95).joules
        parts = list(pairwise(edges))
        assert found.parts_joules(method, parts) == pytest.approx(whole)

    def test_a_counter_may_stand_still_in_a_part_that_is_shorter_than_its_updates(self):
        """100 W, read ten times a second, counted up every 0.2 s: the counter has one value from
        2.0 to 2.1 s, and rises by 20 J from 3.1 to 3.2 s."""
        found = reads(TENTHS, lambda t: 20.0 * math.floor(t / 0.2 + 1e-9))
        assert found.energy("counter", 2.03, 2.07).reason == "counter_stuck"
        still, moves = (2.03, 2.07), (3.13, 3.17)
        assert found.parts_joules("counter", [still, moves]) == pytest.approx(20.0 * 0.4)
        assert found.parts_joules("counter", [still, (5.0, 10.0)]) == pytest.approx(500.0)

    def test_a_counter_that_moved_in_no_part_tells_nothing(self):
        found = reads(TENTHS, lambda t: 20.0 * math.floor(t / 0.2 + 1e-9))
        assert found.parts_joules("counter", [(2.03, 2.07), (2.43, 2.47)]) is None
        assert found.parts_joules("counter", []) == 0.0

    def test_gaps_of_power_are_judged_by_the_sum_of_parts(self):
        """600 W or 100 W, unseen for 0.9 s: up to 500 W may be missing or too many."""
        readings = [
            reading(t, instant_power_watts=600.0 if t < 15.0 else 100.0)
            for t in TENTHS
            if not 4.05 < t < 4.85
        ]
        found = Sensor(GPU, Series((GPU,), tuple(readings), 10.0))
        unseen, seen = (4.3, 4.5), (5.0, 14.0)
        assert found.energy("integrated_instant", *unseen).reason == "sampling_gap"
        assert found.parts_joules("integrated_instant", [unseen]) is None
        both = found.parts_joules("integrated_instant", [unseen, seen])
        assert both == pytest.approx(600.0 * 9.2)

    def test_parts_that_a_slow_meter_cannot_resolve_have_no_energy(self):
        slow = dataclasses.replace(PACKAGE, own_period_s=0.5)
        found = sensor_of(lambda t: 400.0 + 20.0 * (int(t / 0.5) % 2), device=slow)
        assert found.energy("integrated_instant", 5.0, 15.0).joules is not None
        assert found.parts_joules("integrated_instant", [(5.0, 15.0)]) is not None
        assert found.parts_joules("integrated_instant", [(5.0, 15.0), (16.0, 16.5)]) is None


class TestUpdates:
    def update_period_s(self, *, counter_s, instant_s, device=GPU):
        """The period of a counter and of power that change so often, read ten times a second."""
        readings = tuple(
            reading(
                t,
                device=device.id,
                energy_counter_joules=100.0 * math.floor(t / counter_s + 1e-9),
                instant_power_watts=100.0 + math.floor(t / instant_s + 1e-9) % 2,
            )
            for t in TENTHS
        )
        return Sensor(device, Series((device,), readings, 10.0)).update_period_s

    def test_the_slower_of_counter_and_power_counts(self):
        assert self.update_period_s(counter_s=0.2, instant_s=0.5) == pytest.approx(0.5)
        assert self.update_period_s(counter_s=0.8, instant_s=0.5) == pytest.approx(0.8)

    def test_power_that_changes_rarely_did_not_change_and_a_counter_always_does(self):
        assert self.update_period_s(counter_s=0.2, instant_s=3.0) == pytest.approx(1.0)
        assert self.update_period_s(counter_s=3.0, instant_s=3.0) == pytest.approx(3.0)

    def test_a_counter_whose_period_is_known_is_not_looked_at(self):
        known = dataclasses.replace(GPU, counter_update_s=0.02)
        assert self.update_period_s(counter_s=0.8, instant_s=0.5, device=known) == pytest.approx(
            0.5
        )


def test_only_a_quantity_of_one_value_never_changes():
    assert sensor_of(constant(80.0)).never_changes("integrated_instant")
    assert not sensor_of(lambda t: 80.0 + (t > 29.0)).never_changes("integrated_instant")
    assert not sensor_of(constant(80.0)).never_changes("integrated_average")
