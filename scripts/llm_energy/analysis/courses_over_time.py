"""Findings on courses over time: warm-ups, and how cycles depend on the ones before them."""

from collections import Counter
from collections.abc import Iterable, Sequence

from llm_energy.results.parts import Model
from llm_energy.results.result import Result
from worker.steady import DRIFT_SEEN, NO_DRIFT_SEEN, SHORT_CAP_S, UNDECIDED

BOUND_SINCE = 3
"""Protocol since which the bound of a warm-up is that of the window's bias."""


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
