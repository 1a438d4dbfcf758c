"""Student's t quantiles agree with scipy's."""

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from worker.quantiles import t_quantile


@given(st.integers(1, 10_000), st.sampled_from([0.9, 0.95, 0.975, 0.99]))
def test_agrees_with_scipy(degrees: int, probability: float) -> None:
    expected = scipy.stats.t.ppf(probability, degrees)
    accuracy = 1e-9 if degrees <= 2 else 2e-3 if degrees < 5 else 1e-5
    assert t_quantile(probability, degrees) == pytest.approx(expected, rel=accuracy)


def test_tables() -> None:
    assert t_quantile(0.95, 1) == pytest.approx(6.313752)
    assert t_quantile(0.95, 5) == pytest.approx(2.015048, rel=1e-5)
    assert t_quantile(0.975, 10) == pytest.approx(2.228139, rel=1e-6)


@pytest.mark.parametrize(("probability", "degrees"), [(0.5, 3), (1.0, 3), (0.95, 0)])
def test_refuses_what_has_no_answer(probability: float, degrees: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        t_quantile(probability, degrees)
