"""Two plain looks at generated token ids: repetition, and agreement with a reference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.analysis.outputs import equal_share, repeated_share
from worker.engines.base import UNKNOWN_ID

ids = st.lists(st.integers(0, 9), max_size=30)


def test_known_repetitions():
    assert repeated_share([1, 2, 3, 4, 5]) == 0.0
    assert repeated_share([7] * 11) == pytest.approx(7 / 8)  # one of eight 4-grams is new
    assert repeated_share([1, 2, 3, 4] * 2) == pytest.approx(1 / 5)


@pytest.mark.parametrize("short", [[], [1, 2, 3]])
def test_fewer_than_four_tokens_hold_no_4_gram(short):
    assert repeated_share(short) is None


def test_only_what_comes_before_the_first_divergence_counts():
    assert equal_share([1, 2, 9, 4, 5], [1, 2, 3, 4, 5]) == pytest.approx(0.4)
    assert equal_share([9, 2, 3], [1, 2, 3]) == 0.0


def test_outputs_of_different_lengths_are_held_against_each_other_as_far_as_both_go():
    assert equal_share([1, 2], [1, 2, 3, 4]) == 1.0
    assert equal_share([1], []) is None


def test_tokens_that_are_not_known_tell_nothing():
    """Many servers tell their number alone: such outputs would repeat only themselves."""
    assert repeated_share([UNKNOWN_ID] * 16) is None
    assert repeated_share([1, 2, 3, 4, UNKNOWN_ID, 1, 2, 3, 4]) == pytest.approx(0.5)
    assert equal_share([UNKNOWN_ID] * 4, [1, 2, 3, 4]) is None
    assert equal_share([1, 2], [UNKNOWN_ID] * 2) is None
    assert equal_share([1, UNKNOWN_ID, 3, 4], [1, 2, 3, 5]) == pytest.approx(0.75)
    assert equal_share([1, UNKNOWN_ID], [1, 2]) == 1.0


@given(ids, ids)
def test_shares_are_shares_and_agreement_knows_no_side(one, other):
    assert equal_share(one, other) == equal_share(other, one)
    for share in (equal_share(one, other), repeated_share(one)):
        assert share is None or 0 <= share <= 1


@given(ids.filter(bool))
def test_an_output_agrees_with_itself(one):
    assert equal_share(one, one) == 1.0
