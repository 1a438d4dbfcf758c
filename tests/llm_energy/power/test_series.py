"""A series knows its samples, where they are missing, and how often its sensors update."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy.power import made_power

from llm_energy.power.meter import Stamp
from llm_energy.power.series import Samples, Series, sampling_period_s, update_period_s

RISING = Samples((0.0, 1.0, 2.0, 3.0), (10.0, 20.0, 40.0, 40.0))


def test_values_between_samples_are_interpolated():
    assert RISING.at(0.25) == 12.5
    assert RISING.at(2.0) == 40.0
    assert RISING.at(0.0) == 10.0
    assert RISING.at(3.0) == 40.0


def test_samples_between_and_around():
    assert RISING.between(1.0, 2.5).times_s == (1.0, 2.0)
    assert RISING.around(1.0, 2.5).times_s == (1.0, 2.0, 3.0)
    assert RISING.around(0.5, 0.6).times_s == (0.0, 1.0)


@pytest.mark.parametrize(
    ("span", "reason"),
    [
        ((0.0, 3.0), None),
        ((-0.1, 2.0), "no_sample_before"),
        ((1.0, 3.1), "no_sample_after"),
    ],
)
def test_an_interval_needs_a_sample_on_each_side(span, reason):
    assert RISING.uncovered(*span) == reason
    assert Samples((), ()).uncovered(*span) == "no_samples"


def test_quantities_that_are_not_there_leave_no_sample_but_a_reason():
    series = made_power.series_of(made_power.constant(100.0), end=2.0, lost_at=1.0)
    instant = series.samples(made_power.GPU, "instant_power_watts")
    assert instant.times_s[-1] == pytest.approx(0.9)
    assert series.reason(made_power.GPU, "instant_power_watts") == "gpu_lost"
    assert series.reason(made_power.GPU, "average_power_watts") == "not_supported"
    assert series.reason(made_power.GPU, "usage_power_watts") == "no_samples"


def test_a_device_that_was_never_read_has_no_samples():
    empty = Series((made_power.GPU,), (), 10.0)
    assert empty.samples(made_power.GPU, "instant_power_watts") == Samples((), ())
    assert empty.reason(made_power.GPU, "instant_power_watts") == "no_samples"


@given(
    update=st.floats(0.02, 0.5),
    rate=st.sampled_from([10.0, 50.0, 100.0]),
    phase=st.floats(0, 1),
)
def test_the_update_period_is_seen_to_within_one_sample(update, rate, phase):
    seen = made_power.samples(
        lambda t: float(int(t / update + phase)), start=0.0, end=40 * update, rate=rate
    )
    found = update_period_s(seen)
    assert found is not None
    assert max(update, 1 / rate) - 1.01 / rate <= found <= max(update, 1 / rate) + 1.01 / rate


def test_a_value_that_never_changes_has_no_update_period():
    assert update_period_s(Samples((0.0, 1.0, 2.0, 3.0), (5.0,) * 4)) is None


def test_three_changes_show_an_update_period_and_two_do_not():
    times = (0.0, 1.0, 2.0, 4.0, 5.0)
    assert update_period_s(Samples(times, (5.0, 6.0, 7.0, 8.0, 8.0))) == 1.5
    assert update_period_s(Samples(times, (5.0, 6.0, 7.0, 7.0, 7.0))) is None


def test_the_sampling_period_is_that_of_most_samples():
    assert sampling_period_s((0.0, 0.1, 0.2, 0.9)) == pytest.approx(0.1)
    assert sampling_period_s((0.0,)) is None


class TestStamps:
    """A pass of 0.4 s whose counter was read at once and whose power was not, among quick ones."""

    QUICK = tuple(
        made_power.reading(t, energy_counter_joules=60.0 * t, instant_power_watts=60.0)
        for t in (0.0, 1.0, 3.0, 4.0)
    )
    HELD_UP = made_power.reading(
        2.0,
        read_s=0.4,
        energy_counter_joules=108.0,
        instant_power_watts=60.0,
        stamps={
            "energy_counter_joules": Stamp(1.801, 0.002),
            "instant_power_watts": Stamp(2.001, 0.398),
        },
    )
    SERIES = Series(
        (made_power.GPU,), tuple(sorted([*QUICK, HELD_UP], key=lambda r: r.monotonic_s)), 1.0
    )

    def test_each_quantity_has_its_own_moment(self):
        counter = self.SERIES.samples(made_power.GPU, "energy_counter_joules")
        assert counter.times_s == (0.0, 1.0, 1.801, 3.0, 4.0)
        assert counter.read_s == (0.001, 0.001, 0.002, 0.001, 0.001)
        assert counter.stamp_limit_s(1.9) == 0.001
        assert self.SERIES.late(made_power.GPU, "energy_counter_joules") == []

    def test_what_is_covered_lies_between_all_quantities_of_the_first_and_the_last_pass(self):
        assert self.SERIES.covered() == (0.0, 4.0)
        ends = dataclasses.replace(self.SERIES, readings=(self.HELD_UP, *self.QUICK[2:]))
        assert ends.covered() == (2.001, 4.0)
        begins = dataclasses.replace(self.SERIES, readings=(*self.QUICK[:2], self.HELD_UP))
        assert begins.covered() == (0.0, 1.801)

    def test_what_took_too_long_to_read_is_left_out(self):
        power = self.SERIES.samples(made_power.GPU, "instant_power_watts")
        assert power.times_s == (0.0, 1.0, 3.0, 4.0)
        assert self.SERIES.late(made_power.GPU, "instant_power_watts") == [Stamp(2.001, 0.398)]

    def test_a_tenth_of_a_second_is_not_too_long(self):
        held_up = dataclasses.replace(self.HELD_UP, read_s=0.1, stamps={})
        series = Series((made_power.GPU,), (*self.QUICK, held_up), 1.0)
        assert len(series.samples(made_power.GPU, "instant_power_watts")) == 5
        assert series.late(made_power.GPU, "instant_power_watts") == []

    def test_a_driver_that_is_always_slow_loses_nothing(self):
        slow = tuple(dataclasses.replace(each, read_s=0.2) for each in self.QUICK)
        series = Series((made_power.GPU,), slow, 1.0)
        samples = series.samples(made_power.GPU, "energy_counter_joules")
        assert len(samples) == 4
        assert samples.stamp_limit_s(0.5) == 0.1

    def test_readings_that_do_not_say_how_long_they_took_count(self):
        unknown = tuple(dataclasses.replace(each, read_s=math.nan) for each in self.QUICK)
        series = Series((made_power.GPU,), unknown, 1.0)
        assert series.samples(made_power.GPU, "instant_power_watts").read_s == (0.0,) * 4
