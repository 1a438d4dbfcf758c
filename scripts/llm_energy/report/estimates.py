"""What figures, tables and headline have in common: the experiments ranked by one metric."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from llm_energy.metrics import Metric
from llm_energy.report.numbers import interval, number
from llm_energy.stats.experiments import GROUP
from llm_energy.summary import Summary

BELOW_ZERO = (
    "the 95 % t interval of the mean reaches below 0, which the quantity cannot. With so few "
    "cycles that scatter so much it is not informative about how small the mean may be"
)
"""What `Estimate.reaches_below_zero` means to a reader."""


@dataclass(frozen=True)
class Estimate:
    """One metric of one experiment group, in the metric's display unit."""

    metric: Metric
    experiment: str
    label: str
    terms: str
    """Load mode, and for energies scope and device: estimates of other terms are not ranked with
    this one."""
    n: int
    mean: float
    low: float | None
    """95 % t interval of the mean; None for n = 1."""
    high: float | None
    values: tuple[float, ...]
    """One for each cycle that has one."""
    out_of_memory: int
    """Cycles that have none because memory ran out."""

    @property
    def half_width(self) -> float | None:
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    @property
    def reaches_below_zero(self) -> bool:
        """Whether the interval holds negative values though all cycles are positive.

        Nothing measured here can be negative. The t interval knows nothing of that, and is kept
        as it is: it shows how little so few scattered cycles say about the mean.
        """
        return self.low is not None and self.low < 0 < min(self.values, default=0)

    @property
    def interval_text(self) -> str | None:
        """`62.8 to 65.8`, or `below 0 to 4 567`; None where there is no interval."""
        if self.low is None or self.high is None:
            return None
        if self.reaches_below_zero:
            return f"below 0 to {number(self.high, self.half_width)}"
        return interval(self.low, self.high)

    def overlaps(self, other: "Estimate") -> bool:
        """Whether the two intervals have a value in common; unknown intervals always might."""
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return True
        return self.low <= other.high and other.low <= self.high


def estimates(summary: Summary, metric: Metric) -> list[Estimate]:
    """Every group with a value of `metric`, best first within its terms."""
    table = summary.experiments[summary.experiments["metric"] == metric.column]
    needed = summary.measurements[[*GROUP, "status", "load_mode", "energy_scope", metric.column]]
    groups = dict(iter(needed.groupby(list(GROUP), dropna=False)))
    by_key = {_text_key(key): group for key, group in groups.items()}
    names = short_names(summary)
    places = place_columns(summary)
    found = []
    for row in table.to_dict("records"):
        group = by_key[_text_key(row[name] for name in GROUP)]
        label = [names[row["experiment"]], *(place_text(row, name) for name in places)]
        factor = metric.shown_factor
        found.append(
            Estimate(
                metric=metric,
                experiment=row["experiment"],
                label=", ".join(label),
                terms=_terms(group, metric),
                n=int(row["n"]),
                mean=row["mean"] * factor,
                low=None if pd.isna(row["t_low"]) else row["t_low"] * factor,
                high=None if pd.isna(row["t_high"]) else row["t_high"] * factor,
                values=tuple(float(v) * factor for v in group[metric.column].dropna()),
                out_of_memory=int((group["status"] == "out_of_memory").sum()),
            )
        )
    sign = -1 if metric.higher_is_better else 1
    return sorted(found, key=lambda estimate: (estimate.terms, sign * estimate.mean))


def without_value(summary: Summary, metric: Metric) -> list[tuple[str, str]]:
    """(label, why) of every planned experiment without a value of `metric`."""
    valued = {e.experiment for e in estimates(summary, metric)}
    measured = summary.measurements[["experiment", "status", "energy_reason"]]
    why = {planned_experiment(gap.path): "not measured" for gap in summary.facts.missing}
    why |= {planned_experiment(gap.path): "result unusable" for gap in summary.facts.unusable}
    for name, group in measured.groupby("experiment", sort=False):
        reasons = group["energy_reason"].dropna().unique()
        if (group["status"] == "out_of_memory").all():
            why[str(name)] = "out of memory"
        elif metric.kind == "energy" and len(reasons):
            why[str(name)] = f"no energy: {', '.join(reasons)}"
        else:
            why[str(name)] = "no value"
    names = short_names(summary)
    return [(names[name], text) for name, text in why.items() if name not in valued]


def short_names(summary: Summary) -> dict[str, str]:
    """Each planned experiment's name without the parts with which all of them begin."""
    facts = summary.facts
    names = {*summary.measurements["experiment"]}
    names |= {planned_experiment(gap.path) for gap in [*facts.missing, *facts.unusable]}
    columns = zip(*(name.split("_") for name in names), strict=False)
    shared = sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, columns))
    if not shared:
        return {name: name for name in names}
    return {name: " ".join(name.split("_")[shared:]) or name for name in names}


def planned_experiment(path: str) -> str:
    """`measurements/{experiment}/…` -> experiment."""
    return PurePosixPath(path).parts[1]


def place_columns(summary: Summary) -> list[str]:
    """Columns of where it was measured that differ in the campaign: labels then name them."""
    table = summary.measurements
    found = ["device_model"] if table["device_model"].nunique() > 1 else []
    limits = table["power_limit_watts"].nunique(dropna=False)
    return found + (["power_limit_watts"] if limits > 1 else [])


def place_text(row: Mapping[Any, Any], column: str) -> str:
    """One of `place_columns` as a label says it."""
    value = row[column]
    if column == "device_model":
        return str(value)
    return "no power limit" if pd.isna(value) else f"{value:g} W"


def _terms(group: pd.DataFrame, metric: Metric) -> str:
    names = ["load_mode", "energy_scope"] if metric.kind == "energy" else ["load_mode"]
    return ", ".join(str(value) for name in names for value in group[name].dropna().unique())


def _text_key(key: Iterable[Any]) -> tuple[str, ...]:
    """Missing values differ from themselves and by table: keys are compared as text."""
    return tuple("" if pd.isna(value) else str(value) for value in key)
