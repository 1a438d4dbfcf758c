"""A series knows its samples, where they are missing, and how often its sensors update."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy.power import made_power

from llm_energy.power.series import Samples, sampling_period_s, update_period_s

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


def test_the_sampling_period_is_that_of_most_samples():
    assert sampling_period_s((0.0, 0.1, 0.2, 0.9)) == pytest.approx(0.1)
    assert sampling_period_s((0.0,)) is None
