"""Schedules of open loads: the process that they claim to be, and nothing rescaled."""

import itertools
import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

import pytest

from worker.arrivals import WARM_UP, WINDOW, Arrival, ArrivalRecipe, prompt_tokens, schedule


def arrivals(count: int, *, stretch: str = WINDOW, **changes: Any) -> list[Arrival]:
    recipe = ArrivalRecipe(**({"process": "poisson", "rate": 10.0} | changes))
    assert recipe.fault() is None
    return list(itertools.islice(schedule(recipe, output_tokens=16, stretch=stretch), count))


def gaps_of(found: Sequence[Arrival]) -> list[float]:
    return [b.offset_s - a.offset_s for a, b in itertools.pairwise(found)]


def autocorrelation(values: Sequence[float]) -> float:
    mean = fmean(values)
    pairs = itertools.pairwise(value - mean for value in values)
    return sum(a * b for a, b in pairs) / sum((value - mean) ** 2 for value in values)


@pytest.mark.parametrize("cycle", [1, 2, 3])
def test_a_poisson_process_is_one(cycle: int) -> None:
    found = arrivals(1001, cycle=cycle, rate=1.0)
    gaps = gaps_of(found)
    assert stdev(gaps) / fmean(gaps) == pytest.approx(1.0, abs=0.1)
    assert abs(autocorrelation(gaps)) < 0.1
    assert len(set(gaps)) == 1000
    assert not any(math.isclose(a.offset_s, round(a.offset_s), abs_tol=1e-6) for a in found)


def test_the_rate_is_not_rescaled() -> None:
    """The count in 100 s scatters by √n over cycles, as that of a Poisson process does."""
    counts = [
        sum(a.offset_s <= 100.0 for a in arrivals(1500, cycle=cycle)) for cycle in range(1, 41)
    ]
    assert fmean(counts) == pytest.approx(1000.0, abs=3.0 * math.sqrt(1000.0 / 40))
    assert stdev(counts) == pytest.approx(math.sqrt(1000.0), rel=0.35)


@pytest.mark.parametrize("burstiness", [0.25, 1.0, 4.0])
def test_gamma_gaps_scatter_by_the_root_of_burstiness(burstiness: float) -> None:
    gaps = gaps_of(arrivals(4001, process="gamma", burstiness=burstiness))
    assert stdev(gaps) / fmean(gaps) == pytest.approx(burstiness**-0.5, rel=0.1)
    assert fmean(gaps) == pytest.approx(0.1, rel=0.1)


def test_constant_gaps_begin_elsewhere_in_each_cycle() -> None:
    first, second = (arrivals(5, process="constant", cycle=cycle) for cycle in (1, 2))
    assert gaps_of(first) == pytest.approx([0.1] * 4)
    assert first[0].offset_s != second[0].offset_s
    assert 0.0 <= first[0].offset_s < 0.1


def test_the_first_arrival_waits_for_a_whole_gap() -> None:
    """1 s on average, not half of one, over the cycles of a Poisson process of 1 in a second."""
    first = [arrivals(1, rate=1.0, cycle=cycle)[0].offset_s for cycle in range(1, 201)]
    assert fmean(first) == pytest.approx(1.0, abs=3.0 / math.sqrt(200))
    assert max(first) > 2.0


def test_arrivals_are_numbered_from_0() -> None:
    assert [arrival.number for arrival in arrivals(5)] == [0, 1, 2, 3, 4]


def test_equal_seeds_give_equal_schedules() -> None:
    assert arrivals(50) == arrivals(50)
    assert arrivals(50, lengths="uniform") == arrivals(50, lengths="uniform")
    others = [arrivals(50, seed=1), arrivals(50, cycle=2), arrivals(50, stretch=WARM_UP)]
    for other, one in itertools.combinations([arrivals(50), *others], 2):
        assert not {a.offset_s for a in other} & {a.offset_s for a in one}


def test_another_rate_is_another_time_scale() -> None:
    slow, fast = arrivals(50, rate=2.0), arrivals(50, rate=8.0)
    assert [a.offset_s for a in slow] == pytest.approx([4.0 * a.offset_s for a in fast])


def test_lengths_leave_the_times_alone() -> None:
    fixed, uniform = arrivals(2000), arrivals(2000, lengths="uniform")
    assert [a.offset_s for a in fixed] == [a.offset_s for a in uniform]
    assert {a.output_tokens for a in fixed} == {16}
    lengths = [a.output_tokens for a in uniform]
    assert (min(lengths), max(lengths)) == (1, 31)
    assert fmean(lengths) == pytest.approx(16.0, abs=0.7)


TRACE = {
    "trace_times_s": (0.5, 0.5, 2.0),
    "trace_input_tokens": (5, 2, 9),
    "trace_output_tokens": (7, 8, 9),
    "trace_span_s": 3.0,
}


def test_a_trace_begins_again_where_it_ends() -> None:
    found = arrivals(8, process="trace", lengths="trace", **TRACE)
    assert [a.offset_s for a in found] == [0.5, 0.5, 2.0, 3.5, 3.5, 5.0, 6.5, 6.5]
    assert [a.output_tokens for a in found] == [7, 8, 9, 7, 8, 9, 7, 8]
    assert [a.input_tokens for a in found] == [5, 2, 9, 5, 2, 9, 5, 2]


def test_one_request_in_half_a_second_is_a_trace() -> None:
    single = {"trace_times_s": (0.25,), "trace_input_tokens": (3,), "trace_output_tokens": (4,)}
    found = arrivals(3, process="trace", **single, trace_span_s=0.5)
    assert [a.offset_s for a in found] == [0.25, 0.75, 1.25]


def test_the_longest_output_is_known_but_for_a_trace() -> None:
    assert ArrivalRecipe("poisson", 1.0).longest(16) == 16
    assert ArrivalRecipe("poisson", 1.0, lengths="uniform").longest(16) == 31
    assert ArrivalRecipe("trace", 1.0, lengths="trace", **TRACE).longest(16) is None


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"process": "burst"}, "arrivals.process: must be one of poisson"),
        ({"lengths": "random"}, "arrivals.lengths: must be one of fixed"),
        ({"rate": 0.0}, "must be above 0"),
        ({"burstiness": 0.0}, "must be above 0"),
        ({"process": "trace"}, "a trace needs times"),
        ({"process": "trace", **TRACE, "trace_span_s": 0.0}, "a trace needs times"),
        ({"process": "trace", **TRACE, "trace_input_tokens": (5, 2)}, "a trace needs times"),
        ({"lengths": "trace", **TRACE, "trace_output_tokens": (7, 8)}, "a trace needs times"),
        ({"lengths": "trace", "trace_span_s": 1.0}, "a trace needs times"),
    ],
)
def test_what_is_no_recipe_is_refused(changes: dict[str, Any], fault: str) -> None:
    recipe = ArrivalRecipe(**({"process": "poisson", "rate": 1.0} | changes))
    assert fault in (recipe.fault() or "")


def test_prompts_of_a_length_are_cut_from_the_set() -> None:
    prompts = ((1, 2, 3), (4, 5))
    assert prompt_tokens(prompts, 3, None) == (4, 5)
    assert prompt_tokens(prompts, 1, 4) == (4, 5, 1, 2)
    assert prompt_tokens(prompts, 0, 1) == (1,)
    assert prompt_tokens((*prompts, (6,)), 0, 6) == (1, 2, 3, 4, 5, 6)
