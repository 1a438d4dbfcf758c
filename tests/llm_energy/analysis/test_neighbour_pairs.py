"""The numbers of docs/parallel.md on the control `neighbours`: how many cycles form a pair, and how
many pairs a verdict takes."""

import heapq
import random
from collections.abc import Iterator
from statistics import fmean
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from llm_energy.analysis.controls import verdict
from llm_energy.analysis.neighbours import on_full_host
from llm_energy.stats.paired_ratios import paired_ratio

REFERENCE, ALONE = "reference", "alone"
WINDOW = (0.25, 0.95)
"""Where the window lies in a measurement, whose length is about 1."""
REST = 0.03
"""Between two measurements of a set."""


def result(part: int, start: float, end: float) -> Any:
    """A result as far as `on_full_host` reads it."""
    window = [start + share * (end - start) for share in WINDOW]
    return SimpleNamespace(
        environment=SimpleNamespace(run_id=f"run-set{part}"),
        window=SimpleNamespace(start_monotonic_s=window[0], end_monotonic_s=window[1]),
        phases=[SimpleNamespace(start_monotonic_s=start, end_monotonic_s=end)],
    )


def campaign(
    sets: int, experiments: int, cycles: int, chance: random.Random
) -> Iterator[tuple[str, Any]]:
    """Yield each experiment's name with its result, as the gate of `host_share` lets them begin:
    one that is made alone waits until the current ones have ended, and later ones wait behind it.
    """
    left: list[list[str]] = [[] for _ in range(sets)]
    for cycle in range(cycles):
        block = [REFERENCE, ALONE, *map(str, range(experiments - 1))]
        left[cycle % sets] += chance.sample(block, len(block))
    ready = [(chance.uniform(0.0, 0.01), part) for part in range(sets)]
    heapq.heapify(ready)
    gate = alone_until = all_until = 0.0
    while ready:
        arrives, part = heapq.heappop(ready)
        if left[part]:
            name = left[part].pop(0)
            start = max(arrives, gate, all_until if name == ALONE else alone_until)
            end = start + chance.uniform(0.98, 1.02)
            gate, all_until = start, max(all_until, end)
            alone_until = end if name == ALONE else alone_until
            yield name, result(part, start, end)
            heapq.heappush(ready, (end + REST, part))


def share_with_pair(sets: int, experiments: int) -> float:
    """Return the share of cycles that form a pair, in the mean over campaigns."""
    cycles, shares = 4 * sets, []
    for seed in range(40):
        made = list(campaign(sets, experiments, cycles, random.Random(seed)))
        results = [result for _, result in made]
        pairs = sum(on_full_host(r, results) for name, r in made if name == REFERENCE)
        shares.append(pairs / cycles)
    return fmean(shares)


@pytest.mark.parametrize(("experiments_over_sets", "share"), [(0.5, 0.65), (1, 0.8), (2, 0.9)])
@pytest.mark.parametrize("sets", [4, 8])
def test_the_more_experiments_a_cycle_has_the_more_cycles_form_a_pair(
    sets: int, experiments_over_sets: float, share: float
) -> None:
    experiments = int(sets * experiments_over_sets)
    assert share_with_pair(sets, experiments) == pytest.approx(share, abs=0.05)


def test_one_experiment_on_many_sets_hardly_forms_a_pair() -> None:
    assert share_with_pair(8, 1) == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize("experiments", [1, 2, 4])
def test_two_sets_form_a_pair_in_most_cycles(experiments: int) -> None:
    assert 0.75 < share_with_pair(2, experiments) < 0.98


def passes(spread: float, pairs: int) -> float:
    """Return the share of controls that pass, of those whose truth is 1."""
    chance = np.random.default_rng(1)
    ratios = np.exp(chance.normal(0.0, spread, (4000, pairs)))
    verdicts = [
        verdict(paired_ratio(dict.fromkeys(range(pairs), 1.0), dict(enumerate(row))), exact=False)
        for row in ratios
    ]
    return verdicts.count("pass") / len(verdicts)


@pytest.mark.parametrize(
    ("spread", "pairs"), [(0.005, 4), (0.01, 6), (0.015, 10), (0.02, 16), (0.03, 32)]
)
def test_so_many_pairs_pass_in_nine_of_ten_where_nothing_differs(spread: float, pairs: int) -> None:
    assert passes(spread, pairs) > 0.89
    assert passes(spread, pairs - 1) < 0.91
