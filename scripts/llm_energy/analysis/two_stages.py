"""Adaptive cycles: the number that was decided, and the interval that it was decided for."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from llm_energy.analysis.decision import Decision, decide
from llm_energy.analysis.derived_records import read_record
from llm_energy.analysis.experiments_table import GROUP
from llm_energy.campaign.campaign_file import AdaptiveCycles
from llm_energy.results.layout import decision_path
from llm_energy.results.parts import Model
from llm_energy.results.result import Result, ResultError
from llm_energy.stats.intervals import ends, t_interval


class CyclesDecided(Model):
    """The cycles of one experiment, as its first ones decided them."""

    experiment: str
    metric: str | None
    """The metric that decided; None where no spread is known, as after out of memory."""
    coefficient_of_variation: float | None
    """Standard deviation over mean of that metric in the first cycles."""
    needed: int
    """Cycles that the target needs."""
    planned: int
    """The same, but no more than the campaign's maximum."""
    measured: int
    """Cycles that have a value."""
    low: float | None
    """95 % interval of the mean, after Stein; None unless all those cycles are there."""
    high: float | None
    relative_half_width: float | None
    """Half width of that interval over the magnitude of the mean."""

    @property
    def capped(self) -> bool:
        return self.planned < self.needed


def cycles_decided(
    results: Iterable[Result],
    adaptive: AdaptiveCycles,
    measurements: pd.DataFrame,
    campaign_folder: Path,
) -> list[CyclesDecided]:
    """Return one entry for each experiment all of whose first cycles are there."""
    by_experiment: dict[str, list[Result]] = {}
    for result in results:
        by_experiment.setdefault(result.experiment, []).append(result)
    rows = {str(name): table for name, table in measurements.groupby("experiment")}
    decided = []
    for group in by_experiment.values():
        first = [result for result in group if result.cycle <= adaptive.first]
        if len(first) < adaptive.first:
            continue
        decision = _decision(first, adaptive, campaign_folder)
        planned = min(decision.cycles, adaptive.maximum)
        table = rows[first[0].experiment].sort_values("cycle")
        values = table[decision.metric].dropna().tolist() if decision.metric in table else []
        whole = len(group) == planned and len(table.drop_duplicates(list(GROUP))) == 1
        known = sum(value is not None for value in decision.values)
        interval = t_interval(values, pilot=values[:known]) if whole else None
        mean = sum(values) / len(values) if values else 0.0
        decided.append(
            CyclesDecided(
                experiment=first[0].experiment,
                metric=decision.metric,
                coefficient_of_variation=decision.coefficient_of_variation,
                needed=decision.cycles,
                planned=planned,
                measured=len(values),
                **ends(interval),
                relative_half_width=interval.half_width / abs(mean) if interval and mean else None,
            )
        )
    return decided


def _decision(first: Sequence[Result], adaptive: AdaptiveCycles, campaign_folder: Path) -> Decision:
    """Return the decision on record, which stands although the rule may be another one since; where
    there is none, that of the first cycles."""
    target = adaptive.target_relative_half_width
    path = decision_path(
        first[0].spec_hash, first=adaptive.first, target_relative_half_width=target
    )
    with suppress(ResultError):
        return read_record(Decision, campaign_folder / path)
    return decide(first, target)
