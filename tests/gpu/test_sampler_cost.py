"""The rate that a sampler delivered, whatever part of its grid was looked at."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gpu.sampler_cost import rate_of


@given(count=st.integers(2, 200), first_s=st.floats(0.0, 0.1))
def test_regular_readings_have_their_own_rate_wherever_the_first_one_falls(count, first_s):
    assert rate_of([first_s + 0.1 * i for i in range(count)]) == pytest.approx(10.0)


def test_a_reading_that_is_missing_lowers_the_rate():
    assert rate_of([0.0, 0.1, 0.3, 0.4]) == pytest.approx(7.5)


@pytest.mark.parametrize("moments", [[], [1.0]])
def test_fewer_than_two_readings_have_no_rate(moments):
    assert rate_of(moments) == 0.0
