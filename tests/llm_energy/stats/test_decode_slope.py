"""Energy of decoding as a slope over output lengths, with its interval over cycles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.stats.decode_slope import decode_slope
from llm_energy.stats.intervals import t_interval

LENGTHS = (16, 48, 96)


def line(prefill, slope, lengths=LENGTHS):
    return {length: prefill + slope * length for length in lengths}


def test_the_slope_of_a_line_is_found_and_prefill_left_out():
    found = decode_slope({1: line(2.0, 0.5), 2: line(3.0, 0.5), 3: line(2.5, 0.5)})
    assert found.joules_per_output_token == pytest.approx(0.5)
    assert found.interval.half_width == pytest.approx(0, abs=1e-12)
    assert (found.cycles, found.lengths) == (3, LENGTHS)
    assert found.worst_residual_relative == pytest.approx(0, abs=1e-12)


def test_it_is_least_squares_within_a_cycle():
    # statsmodels 0.15.0: OLS of the energies on a constant and the length
    found = decode_slope({1: {16: 10.2, 48: 25.9, 96: 50.3}})
    assert found.joules_per_output_token == pytest.approx(0.5018092105263156, rel=1e-9)


def test_the_interval_is_students_over_the_slopes_of_the_cycles():
    slopes = [0.50, 0.52, 0.49, 0.51, 0.53]
    found = decode_slope({cycle: line(2.0, slope) for cycle, slope in enumerate(slopes)})
    expected = t_interval(slopes)
    assert found.interval.low == pytest.approx(expected.low)
    assert found.interval.high == pytest.approx(expected.high)


def test_after_a_second_stage_the_spread_of_the_first_cycles_decides():
    slopes = [0.50, 0.52, 0.49, *[0.50] * 6]
    energies = {cycle: line(2.0, slope) for cycle, slope in enumerate(slopes)}
    found = decode_slope(energies, limits=[0.001], pilot={0, 1, 2})
    expected = t_interval(slopes, pilot=slopes[:3])
    assert found.interval.half_width == pytest.approx(expected.half_width)
    assert found.total.interval.half_width > found.interval.half_width


def test_one_cycle_gives_a_value_and_no_interval():
    found = decode_slope({1: line(2.0, 0.5)}, limits=[0.05])
    assert (found.interval, found.total) == (None, None)


def test_a_cycle_that_lost_a_length_drops_out_where_fewer_than_three_are_left():
    found = decode_slope({1: line(2.0, 0.5), 2: line(2.0, 9.0, (16, 48))})
    assert (found.cycles, found.joules_per_output_token) == (1, pytest.approx(0.5))
    assert decode_slope({1: line(2.0, 0.5, (16, 48))}) is None
    assert decode_slope({}) is None


def test_a_bend_is_reported():
    bent = {length: 2.0 + 0.5 * length + 0.01 * length**2 for length in LENGTHS}
    # numpy.polyfit of degree 1 through 12.56, 49.04 and 142.16 J leaves 6.06316 of 12.56 J
    assert decode_slope({1: bent}).worst_residual_relative == pytest.approx(0.4827355, rel=1e-6)


def test_the_sensor_widens_the_total_interval_only():
    found = decode_slope({c: line(2.0, 0.5 + 0.01 * c) for c in (1, 2, 3)}, limits=[0.05])
    assert found.total.interval.low < found.interval.low
    assert found.total.interval.high > found.interval.high


@given(st.floats(0.01, 100), st.floats(0.01, 10), st.floats(0.1, 10))
def test_a_gain_of_the_sensor_multiplies_the_slope(prefill, slope, gain):
    read = {length: gain * joules for length, joules in line(prefill, slope).items()}
    assert decode_slope({1: read}).joules_per_output_token == pytest.approx(gain * slope, rel=1e-6)
