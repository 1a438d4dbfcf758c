"""Findings on courses over time: warm-ups, and how cycles depend on the ones before them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict

import numpy as np

from llm_energy.analysis.experiments_table import group_of
from llm_energy.results.metrics import WATCHED, Metric, watched_value
from llm_energy.results.parts import Model
from llm_energy.results.result import Result
from llm_energy.stats.autocorrelation import autocorrelation
from worker.steady import DRIFT_SEEN, NO_DRIFT_SEEN, SHORT_CAP_S, UNDECIDED

BOUND_SINCE = 3
"""Protocol since which the bound of a warm-up is that of the window's bias."""


LEAST_METRICS = 2
"""Speed and energy: the test of dependence is as strict where one of them is missing."""


class WarmupTrace(Model):
    experiment: str
    cycle: int
    capped: bool
    throughput_relative: list[float]
    """Throughput of each warm-up wave over that of the window that followed."""


class ShortWarmups(Model):
    """Measurements whose warm-up had too little time to show a steady state, by their verdict."""

    limit_s: float
    """Time limit of a warm-up below which it has too little time."""
    no_drift_seen: int
    largest_bound: float | None
    """Largest bound of these."""
    drift_seen: int
    undecided: int

    @property
    def measurements(self) -> int:
        return self.no_drift_seen + self.drift_seen + self.undecided


class CycleDependence(Model):
    """Visible dependence of each cycle on the one before it, over all experiments."""

    metric: str
    coefficient: float
    """Lag-1 autocorrelation; 0 for cycles that do not depend on each other."""
    p_value: float
    """One-sided, not adjusted for the number of metrics."""
    cycles: int


def warmup_traces(results: Iterable[Result]) -> list[WarmupTrace]:
    """Return the warm-ups in planned order."""
    return [
        WarmupTrace(
            experiment=r.experiment,
            cycle=r.cycle,
            capped=r.warmup.capped,
            throughput_relative=[
                value / r.output_tokens_per_second
                for value in r.warmup.throughput_tokens_per_second
            ],
        )
        for r in sorted(results, key=lambda result: result.position)
        if r.warmup and r.output_tokens_per_second
    ]


def short_warmups(results: Sequence[Result]) -> ShortWarmups | None:
    """Count what short warm-ups showed; None without any."""
    judged = [r.warmup for r in results if r.warmup and r.protocol_version >= BOUND_SINCE]
    counts = Counter(warmup.verdict for warmup in judged)
    bounds = [warmup.bound or 0.0 for warmup in judged if warmup.verdict == NO_DRIFT_SEEN]
    found = ShortWarmups(
        limit_s=SHORT_CAP_S,
        no_drift_seen=counts[NO_DRIFT_SEEN],
        largest_bound=max(bounds, default=None),
        drift_seen=counts[DRIFT_SEEN],
        undecided=counts[UNDECIDED],
    )
    return found if found.measurements else None


def cycle_dependence(results: Sequence[Result]) -> list[CycleDependence]:
    """Return the metrics whose cycles visibly depend on the ones before, at 5 % together."""
    tables = {metric: table for metric in WATCHED if (table := _by_cycle(results, metric))}
    found = []
    for metric, table in tables.items():
        tested = autocorrelation(np.array(table))
        if tested and tested.p_value <= 0.05 / max(len(tables), LEAST_METRICS):
            found.append(CycleDependence(metric=metric.column, **asdict(tested)))
    return found


def _by_cycle(results: Sequence[Result], metric: Metric) -> list[list[float]]:
    """Return a row for each experiment with its values by cycle; NaN where one is missing."""
    rows: dict[tuple[object, ...], dict[int, float]] = defaultdict(dict)
    for result in results:
        if (value := watched_value(result, metric)) is not None:
            rows[group_of(result)][result.cycle] = value
    cycles = sorted({cycle for row in rows.values() for cycle in row})
    return [[row.get(cycle, np.nan) for cycle in cycles] for row in rows.values()]
