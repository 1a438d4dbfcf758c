"""Ratios paired by block, and Holm's correction."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from llm_energy.stats.paired_ratios import (
    holm,
    paired_ratio,
    simultaneous_confidence,
    unpaired_ratio,
)

A = {1: 0.50, 2: 0.52, 3: 0.49, 4: 0.51, 5: 0.53}
C = {1: 0.50, 2: 0.53, 3: 0.48, 4: 0.52, 5: 0.515}
MARGIN = 0.023581343609088486
sides = st.lists(st.floats(0.1, 10), min_size=3, max_size=12)
B = {1: 0.90, 2: 0.95, 3: 0.89, 4: 0.92, 5: 0.96}


class TestPairedRatio:
    def test_known_answer_of_five_pairs(self):
        found = paired_ratio(A, B)
        assert found.pairs == 5
        assert found.ratio == pytest.approx(1.81167, abs=5e-6)
        assert found.interval().low == pytest.approx(1.79855, abs=5e-6)
        assert found.interval().high == pytest.approx(1.82489, abs=5e-6)

    def test_a_missing_side_drops_its_block_from_both_sides(self):
        found = paired_ratio(A, {block: value for block, value in B.items() if block != 3})
        assert found.pairs == 4
        assert found.ratio == pytest.approx(1.81051, abs=5e-6)  # not 1.794, the ratio of the means
        assert found.interval().low == pytest.approx(1.79173, abs=5e-6)
        assert found.interval().high == pytest.approx(1.82949, abs=5e-6)

    def test_under_three_pairs_there_is_a_ratio_and_no_interval(self):
        found = paired_ratio({1: 0.5, 2: 0.5}, {1: 1.0, 2: 1.0})
        assert (found.pairs, found.ratio) == (2, 2.0)
        assert found.interval() is None
        assert found.p_value is None

    def test_blocks_of_different_sessions_form_no_pair(self):
        assert paired_ratio({(1, "monday"): 0.5}, {(1, "tuesday"): 1.0}) is None

    def test_values_that_are_not_positive_are_refused(self):
        with pytest.raises(ValueError, match="not positive"):
            paired_ratio({1: 1.0}, {1: -1.0})

    @given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=3, max_size=20))
    def test_p_value_is_that_of_scipys_paired_test_on_logarithms(self, pairs):
        first, second = zip(*pairs, strict=True)
        logs = [math.log(b / a) for a, b in pairs]
        assume(max(logs) - min(logs) > 1e-6)  # equal ratios have a test of their own
        expected = stats.ttest_rel([math.log(b) for b in second], [math.log(a) for a in first])
        found = paired_ratio(dict(enumerate(first)), dict(enumerate(second)))
        assert found.p_value == pytest.approx(float(expected.pvalue), rel=1e-6, abs=1e-12)

    def test_an_experiment_against_itself_is_exactly_one(self):
        found = paired_ratio(A, A)
        assert (found.ratio, found.p_value) == (1.0, 1.0)
        assert (found.interval().low, found.interval().high) == (1.0, 1.0)

    @given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=3, max_size=20))
    def test_swapping_the_sides_inverts_the_ratio_and_its_interval(self, pairs):
        first = {block: pair[0] for block, pair in enumerate(pairs)}
        second = {block: pair[1] for block, pair in enumerate(pairs)}
        there, back = paired_ratio(first, second), paired_ratio(second, first)
        assert there.ratio * back.ratio == pytest.approx(1)
        assert there.interval().low * back.interval().high == pytest.approx(1)


class TestUnpairedRatio:
    def test_it_is_welchs_t_on_logarithms(self):
        # statsmodels 0.15.0: CompareMeans of the logarithms, usevar="unequal"
        found = unpaired_ratio(list(A.values()), list(B.values())[:4])
        interval = found.interval()
        assert math.log(interval.low) == pytest.approx(0.5370400136011587, rel=1e-9)
        assert math.log(interval.high) == pytest.approx(0.6321339133961751, rel=1e-9)
        assert found.p_value == pytest.approx(2.1686603383320416e-08, rel=1e-9)
        assert found.degrees_of_freedom == pytest.approx(6.7798570499553446, rel=1e-9)

    @given(sides, sides)
    def test_p_value_is_scipys(self, first, second):
        logs = [[math.log(value) for value in side] for side in (first, second)]
        assume(min(max(side) - min(side) for side in logs) > 1e-6)
        expected = stats.ttest_ind(logs[1], logs[0], equal_var=False)
        found = unpaired_ratio(first, second)
        assert found.p_value == pytest.approx(float(expected.pvalue), rel=1e-6, abs=1e-12)
        assert found.pairs == 0

    def test_under_three_values_on_a_side_there_is_no_interval(self):
        found = unpaired_ratio([1.0, 1.1, 0.9], [2.0, 2.1])
        assert (found.interval(), found.p_value, found.equivalent(0.02)) == (None, None, None)

    def test_an_empty_side_has_no_ratio(self):
        assert unpaired_ratio([], [1.0]) is None

    def test_sides_without_spread(self):
        found = unpaired_ratio([1.0] * 3, [2.0] * 3)
        assert found.interval().low == found.interval().high == pytest.approx(2.0)
        assert found.p_value == 0.0


class TestEquivalence:
    def test_it_agrees_with_two_one_sided_tests(self):
        # statsmodels 0.15.0, ttost_paired on logarithms: p = 0.0046465 at ±5 %, 0.0749900 at ±2 %
        found = paired_ratio(A, C)
        assert found.equivalent(0.05)
        assert not found.equivalent(0.02)

    def test_the_margin_at_which_it_turns_is_that_of_statsmodels(self):
        # statsmodels 0.15.0: ttost_paired has p = 0.05 at this margin, found by bisection
        found = paired_ratio(A, C)
        assert found.equivalent(MARGIN * (1 + 1e-9))
        assert not found.equivalent(MARGIN * (1 - 1e-9))


class TestOtherSensors:
    def test_the_gains_of_two_sensors_add_to_the_variance_once(self):
        alone = paired_ratio(A, B)
        both = alone.with_gains([0.05, 0.05])
        added = both.standard_error**2 - alone.standard_error**2
        assert added == pytest.approx(2 * 0.05**2 / 3)  # (√2 · g)² with g = a/√3
        assert both.degrees_of_freedom > 1000
        assert both.ratio == alone.ratio
        assert both.interval().low < alone.interval().low

    def test_a_ratio_that_is_not_testable_stays_so(self):
        assert paired_ratio({1: 1.0}, {1: 2.0}).with_gains([0.05]).interval() is None


class TestSimultaneous:
    def test_one_comparison_needs_no_adjustment(self):
        assert simultaneous_confidence(1) == simultaneous_confidence(0) == 0.95

    def test_ten_share_the_error(self):
        assert simultaneous_confidence(10) == pytest.approx(0.995)


class TestHolm:
    def test_known_answer(self):
        assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])

    def test_it_agrees_with_statsmodels(self):
        # statsmodels 0.15.0: multipletests(p, method="holm")
        p_values = [0.001, 0.2, 0.012, 0.03, 0.04, 0.0005, 0.9]
        expected = [0.006, 0.4, 0.06, 0.12, 0.12, 0.0035, 0.9]
        assert holm(p_values) == pytest.approx(expected, rel=1e-9)

    def test_nothing_to_adjust(self):
        assert holm([]) == []
        assert holm([0.04]) == [0.04]

    @given(st.lists(st.floats(0, 1), max_size=12))
    def test_rejects_exactly_what_the_step_down_procedure_rejects(self, p_values):
        level = 0.05
        rejected, order = set(), sorted(range(len(p_values)), key=lambda i: p_values[i])
        for rank, index in enumerate(order):
            if p_values[index] * (len(p_values) - rank) > level:
                break
            rejected.add(index)
        adjusted = holm(p_values)
        assert {i for i, p in enumerate(adjusted) if p <= level} == rejected
        assert all(p <= a <= 1 for p, a in zip(p_values, adjusted, strict=True))
