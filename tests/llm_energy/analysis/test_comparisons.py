"""Experiments that are compared, with marks, refusals and the words for a reader."""

import pytest
from tests.llm_energy import make_results
from tests.llm_energy.analysis.made_comparisons import BASE, OTHER, A, B, compared, side, throughput

from llm_energy.analysis.comparisons import compare_all
from llm_energy.analysis.measurements_table import measurements_table
from llm_energy.campaign.contrasts import Contrast
from llm_energy.results.metrics import THROUGHPUT
from llm_energy.results.parts import Flag


class TestPairs:
    def test_the_known_answer_and_how_it_is_reported(self):
        found = throughput(side(BASE, A, uuids=["GPU-1"]), side(OTHER, B, uuids=["GPU-1"]))
        assert found.ratio == pytest.approx(1.81167, abs=5e-6)
        assert (found.low, found.high) == pytest.approx((1.79855, 1.82489), abs=5e-6)
        assert (found.experiment, found.base, found.pairs) == (OTHER, BASE, 5)
        assert (found.verdict, found.marks) == ("different", [])
        assert found.sentence == "has 1.812× (1.799 to 1.825) the throughput, 5 pairs, same GPU"

    def test_a_missing_cycle_takes_its_pair_with_it(self):
        four = side(OTHER, [*B[:2], *B[3:]], cycles=[1, 2, 4, 5])
        found = throughput(side(BASE, A), four)
        assert found.pairs == 4
        assert found.ratio == pytest.approx(1.81051, abs=5e-6)  # not 1.794, the ratio of the means
        assert (found.low, found.high) == pytest.approx((1.79173, 1.82949), abs=5e-6)

    def test_under_three_pairs_it_is_not_testable_and_stated_to_be(self):
        found = throughput(side(BASE, A[:2]), side(OTHER, B[:2]))
        assert (found.pairs, found.low, found.p_value_holm) == (2, None, None)
        assert found.verdict == "not_testable"
        assert found.sentence == "has 1.81× the throughput, 2 pairs, too few for an interval, " + (
            "same machine"
        )

    def test_what_lies_within_the_margin_is_equivalent_and_not_merely_undecided(self):
        near = [value * (1.004 if cycle % 2 else 0.998) for cycle, value in enumerate(A)]
        assert throughput(side(BASE, A), side(OTHER, near)).verdict == "equivalent"
        tight = throughput(side(BASE, A), side(OTHER, near), margin=0.001)
        assert tight.verdict == "inconclusive"
        assert "equivalent within ±2" in throughput(side(BASE, A), side(OTHER, near)).sentence

    def test_energy_per_token_is_used(self):
        (found,) = [
            c
            for c in compared(side(BASE, A), side(OTHER, B))[0]
            if c.metric == "joules_per_output_token"
        ]
        assert found.sentence.startswith("uses ")
        assert "the energy per token, 5 pairs" in found.sentence

    def test_a_reference_that_was_not_measured_compares_nothing(self):
        assert compared(side(OTHER, B)) == ([], [], [])
        assert compared(side(OTHER, B), side(BASE, A), reference=None) == ([], [], [])


class TestMultiplicity:
    def test_a_family_is_adjusted_together(self):
        third = side("third", [value * 1.01 for value in A])
        found, _, _ = compared(side(BASE, A), side(OTHER, B), third)
        of_throughput = [c for c in found if c.metric == THROUGHPUT.column]
        assert {c.family for c in of_throughput} == {2}
        for each in of_throughput:
            assert each.simultaneous_low <= each.low
            assert each.high <= each.simultaneous_high
            assert each.p_value <= each.p_value_holm
        wide = next(c for c in of_throughput if c.experiment == OTHER)
        # 1.81167 · exp(−t₀.₉₈₇₅(4) / t₀.₉₇₅(4) · ln(1.82489 / 1.81167)), t = 3.4954 and 2.7764
        assert wide.simultaneous_low == pytest.approx(1.79517, abs=1e-5)
        assert "interval simultaneous over 2 comparisons" in wide.sentence

    def test_equivalence_is_adjusted_for_the_family_as_a_difference_is(self):
        near = [a * (1.013 if cycle % 2 else 1.004) for cycle, a in enumerate(A)]
        alone = throughput(side(BASE, A), side(OTHER, near))
        assert alone.verdict == "equivalent"
        assert alone.equivalence_p_value_holm == pytest.approx(0.00249647, abs=5e-8)
        many = [side(f"e{i}", near) for i in range(40)]
        found = [c for c in compared(side(BASE, A), *many)[0] if c.metric == THROUGHPUT.column]
        assert {(c.verdict, c.family) for c in found} == {("inconclusive", 40)}
        assert all("equivalent" not in c.sentence for c in found)
        few = [c for c in compared(side(BASE, A), *many[:2])[0] if c.metric == THROUGHPUT.column]
        assert all("equivalent within ±2 %, adjusted for 2" in c.sentence for c in few)


class TestTwoStages:
    """Both sides have three first cycles that scatter, and seven more that do not."""

    first = (1.0, 1.05, 0.95)
    more = ((*first, *[1.0] * 7), (*reversed(first), *[1.0] * 7))

    def compared(self, first_cycles, **options):
        base, other = (
            side(name, values, cycles=range(1, 11), **where)
            for name, values, where in zip((BASE, OTHER), self.more, options["places"], strict=True)
        )
        table = measurements_table([*base, *other])
        found, _, _ = compare_all(
            table, reference=BASE, contrasts=(), margin=0.02, first_cycles=first_cycles
        )
        return next(c for c in found if c.metric == THROUGHPUT.column)

    @pytest.mark.parametrize(
        "places", [({}, {}), ({"session": "monday"}, {"session": "tuesday"})], ids=["pairs", "none"]
    )
    def test_the_spread_of_the_first_cycles_decides_the_interval(self, places):
        given = self.compared(None, places=places)
        decided = self.compared({BASE: 3, OTHER: 3}, places=places)
        assert decided.ratio == given.ratio
        assert decided.low < given.low < given.high < decided.high
        assert decided.p_value_holm >= given.p_value_holm


class TestRefusals:
    def test_answers_of_natural_length_are_compared_per_token_only(self):
        flag = Flag(code="natural_length", message="3 to 16 tokens")
        natural = [
            result.model_copy(update={"flags": [*result.flags, flag]}) for result in side(OTHER, B)
        ]
        found, _, refused = compared(side(BASE, A), natural)
        assert {c.metric for c in found} >= {"output_tokens_per_second", "joules_per_output_token"}
        assert [(r.metric, r.reason) for r in refused] == [
            (
                "joules_per_request",
                "answers of natural length are different work; compare per token",
            )
        ]

    def test_load_modes_are_never_compared_with_each_other(self):
        found, _, refused = compared(side(BASE, A), side(OTHER, B, load_mode="closed"))
        assert found == []
        assert {each.reason for each in refused} == {"load modes must not be mixed: closed, waves"}

    def test_scopes_of_energy_are_never_mixed_and_speed_does_not_mind(self):
        def of_the_package(results):
            for result in results:
                energy = result.energy.model_copy(update={"scope": "cpu_package"})
                yield result.model_copy(update={"energy": energy})

        found, _, refused = compared(side(BASE, A), of_the_package(side(OTHER, B)))
        assert "joules_per_output_token" not in {c.metric for c in found}
        assert THROUGHPUT.column in {c.metric for c in found}
        assert {each.reason for each in refused} == {
            "scopes of energy must not be mixed: cpu_package, gpu_board"
        }

    def test_scopes_mixed_within_a_side_are_refused_too(self):
        def mixed(results):
            for result in results:
                scope = "cpu_package" if result.cycle == 1 else "gpu_board"
                energy = result.energy.model_copy(update={"scope": scope})
                yield result.model_copy(update={"energy": energy})

        found, _, _ = compared(mixed(side(BASE, A)), mixed(side(OTHER, B)))
        assert "joules_per_output_token" not in {c.metric for c in found}

    def test_values_of_zero_have_no_ratio(self):
        found, _, refused = compared(side(BASE, [0.0, *A[1:]]), side(OTHER, B))
        assert THROUGHPUT.column not in {c.metric for c in found}
        assert "not positive" in refused[0].reason

    def test_out_of_memory_is_nothing_to_compare(self):
        lost = [make_results.make_result(OTHER, out_of_memory=True)]
        assert compared(side(BASE, A), lost) == ([], [], [])


class TestAxes:
    contrast = Contrast("batch_size", "4", "1", OTHER, BASE)

    def test_a_contrast_names_axis_and_levels(self):
        _, along, _ = compared(
            side(BASE, A), side(OTHER, B), contrasts=[self.contrast], reference=None
        )
        (found,) = [c for c in along if c.metric == THROUGHPUT.column]
        assert (found.factor, found.level, found.base_level) == ("batch_size", "4", "1")
        assert found.ratio == pytest.approx(1.81167, abs=5e-6)

    def test_each_axis_is_a_family_of_its_own(self):
        other = Contrast("dtype", "b", "a", OTHER, BASE)
        _, along, _ = compared(side(BASE, A), side(OTHER, B), contrasts=[self.contrast, other])
        assert {c.family for c in along} == {1}

    def test_a_side_that_was_not_measured_has_no_comparison(self):
        assert compared(side(BASE, A), contrasts=[self.contrast]) == ([], [], [])
