"""Ratios paired by block, and Holm's correction."""

import math
import random
from types import MappingProxyType

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from llm_energy.stats.paired_ratios import (
    Ratio,
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

    @pytest.mark.parametrize("value", [-1.0, 0.0])
    def test_values_that_are_not_positive_are_refused(self, value):
        with pytest.raises(ValueError, match="not positive"):
            paired_ratio({1: 1.0}, {1: value})

    def test_an_interval_keeps_its_confidence(self):
        assert paired_ratio(A, B).interval(0.9).confidence == 0.9

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
        found = unpaired_ratio(A, dict(list(B.items())[:4]))
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
        found = unpaired_ratio(dict(enumerate(first)), dict(enumerate(second)))
        assert found.p_value == pytest.approx(float(expected.pvalue), rel=1e-6, abs=1e-12)
        assert found.pairs == 0

    def test_under_three_values_on_a_side_there_is_no_interval(self):
        found = unpaired_ratio({1: 1.0, 2: 1.1, 3: 0.9}, {1: 2.0, 2: 2.1})
        assert (found.pairs, found.degrees_of_freedom) == (0, 0)
        assert found.ratio == pytest.approx(4.2 ** (1 / 2) / 0.99 ** (1 / 3))
        assert found.interval() is None
        assert found.p_value is found.equivalence_p_value(0.02) is None

    def test_an_empty_side_has_no_ratio(self):
        assert unpaired_ratio({}, {1: 1.0}) is None

    def test_sides_without_spread(self):
        found = unpaired_ratio(dict.fromkeys(range(3), 1.0), dict.fromkeys(range(3), 2.0))
        assert found.interval().low == found.interval().high == pytest.approx(2.0)
        assert found.p_value == 0.0


class TestEquivalence:
    def test_it_agrees_with_two_one_sided_tests(self):
        # statsmodels 0.15.0, ttost_paired on logarithms
        found = paired_ratio(A, C)
        assert found.equivalence_p_value(0.05) == pytest.approx(0.0046465, abs=5e-8)
        assert found.equivalence_p_value(0.02) == pytest.approx(0.0749900, abs=5e-8)

    def test_the_margin_at_which_it_turns_is_that_of_statsmodels(self):
        # statsmodels 0.15.0: ttost_paired has p = 0.05 at this margin, found by bisection
        assert paired_ratio(A, C).equivalence_p_value(MARGIN) == pytest.approx(0.05, rel=1e-9)

    @given(sides, st.floats(0.001, 0.5), st.sampled_from([0.0, 0.02]))
    def test_it_is_the_interval_of_twice_the_level_inside_the_margin(self, logs, margin, limit):
        assume(max(logs) - min(logs) > 1e-6)
        other = {block: math.exp(margin * (log - 5) / 20) for block, log in enumerate(logs)}
        found = paired_ratio(dict.fromkeys(other, 1.0), other).with_limits([limit])
        p = found.equivalence_p_value(margin)
        assume(1e-6 < p < 0.499)
        widest = found.interval(1 - 2 * p)
        reach = max(abs(math.log(end)) for end in (widest.low, widest.high))
        assert reach == pytest.approx(math.log1p(margin), rel=1e-6)

    def test_equal_sides_are_equivalent_and_sides_a_margin_apart_are_not(self):
        assert paired_ratio(A, A).equivalence_p_value(0.02) == 0.0
        apart = {block: 1.05 * value for block, value in A.items()}
        assert paired_ratio(A, apart).equivalence_p_value(0.02) >= 0.5


def test_of_ten_ratios_at_the_margin_hardly_a_family_holds_one_called_equivalent():
    """500 families, each 2 % apart in truth: 5 % + four standard errors; unadjusted it is 40 %."""
    chance, wrong, families = random.Random(12), 0, 500
    for _ in range(families):
        logs = [[chance.gauss(math.log(1.02), 0.01) for _ in range(5)] for _ in range(10)]
        ratios = [
            paired_ratio(dict.fromkeys(range(5), 1.0), dict(enumerate(map(math.exp, each))))
            for each in logs
        ]
        wrong += min(holm([ratio.equivalence_p_value(0.02) for ratio in ratios])) <= 0.05
    assert wrong / families < 0.05 + 4 * (0.05 * 0.95 / families) ** 0.5


class TestOtherSensors:
    def test_the_limits_of_two_sensors_join_the_interval_with_their_sum(self):
        alone = paired_ratio(A, B)
        both = alone.with_limits([0.05, 0.05])
        half = math.log(alone.interval().high / alone.interval().low) / 2
        wide = math.log(both.interval().high / both.interval().low) / 2
        assert wide == pytest.approx(math.hypot(half, 0.1))
        assert both.ratio == alone.ratio

    @given(sides, st.floats(0, 0.2), st.floats(0, 0.2), st.sampled_from([0.9, 0.95, 0.995]))
    def test_a_worse_sensor_never_gives_a_narrower_interval_or_a_smaller_p(
        self, values, limit, more, confidence
    ):
        ratio = paired_ratio(dict.fromkeys(range(len(values)), 1.0), dict(enumerate(values)))
        good, bad = ratio.with_limits([limit]), ratio.with_limits([limit + more])
        rounding = 1 + 1e-12
        assert bad.interval(confidence).low <= good.interval(confidence).low * rounding
        assert bad.interval(confidence).high * rounding >= good.interval(confidence).high
        assert bad.p_value >= good.p_value
        assert bad.equivalence_p_value(0.02) >= good.equivalence_p_value(0.02) or (
            good.equivalence_p_value(0.02) > 0.5
        )

    def test_p_is_the_level_at_which_the_interval_ends_at_one(self):
        found = paired_ratio(A, C).with_limits([0.001])
        assert 1.0 in (
            pytest.approx(found.interval(1 - found.p_value).low),
            pytest.approx(found.interval(1 - found.p_value).high),
        )

    def test_a_difference_within_the_limits_is_none(self):
        assert paired_ratio(A, C).with_limits([0.05]).p_value == 1.0

    def test_without_scatter_a_difference_of_the_limits_is_one(self):
        ends = [Ratio(3, 0.1, 0.0, 2, limit=limit).p_value for limit in (0.09, 0.1, 0.11)]
        assert ends == [0.0, 0.0, 1.0]

    def test_a_ratio_that_is_not_testable_stays_so(self):
        assert paired_ratio({1: 1.0}, {1: 2.0}).with_limits([0.05]).interval() is None


class TestTwoStages:
    """The spread of the first blocks alone counts, where it decided how many followed."""

    base = MappingProxyType(A | dict.fromkeys(range(6, 13), 0.5))
    other = MappingProxyType(B | dict.fromkeys(range(6, 13), 0.9))

    def test_a_second_stage_without_scatter_makes_a_paired_ratio_no_surer_than_its_rule(self):
        found = paired_ratio(self.base, self.other, pilot=set(A))
        first = paired_ratio(A, B)
        assert (found.pairs, found.degrees_of_freedom) == (12, 4)
        assert found.standard_error == pytest.approx(first.standard_error * math.sqrt(5 / 12))

    def test_without_pairs_likewise(self):
        shifted = {block + 100: value for block, value in self.other.items()}
        pilot = set(A) | {block + 100 for block in B}
        found = unpaired_ratio(self.base, shifted, pilot=pilot)
        first = unpaired_ratio(A, B)
        assert found.standard_error == pytest.approx(first.standard_error * math.sqrt(5 / 12))
        assert found.degrees_of_freedom == pytest.approx(first.degrees_of_freedom)
        assert found.ratio == pytest.approx(paired_ratio(self.base, self.other).ratio)

    def test_first_blocks_without_a_spread_give_no_interval(self):
        assert paired_ratio(self.base, self.other, pilot={1, 2}).interval() is None


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
