"""Estimates of one metric, ranked, with labels and intervals: for figures, tables and headline."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import Any

import pandas as pd

from llm_energy.analysis.experiments_table import GROUP
from llm_energy.analysis.summary import Summary
from llm_energy.report.groups import column, places_of_groups, rows_of_metrics, text_key
from llm_energy.results.metrics import Metric, by_arrivals
from llm_energy.system.numbers import interval, number

TERMS = ("load_mode", "request_rate", "trace")
"""Columns of the terms of a measurement; of energies there is the scope as well."""

NOTHING = "–"
"""In place of a value that is not known."""

BELOW_ZERO = (
    "the 95 % t interval of the mean reaches below 0, which the quantity cannot. With so few "
    "cycles that scatter so much it is not informative about how small the mean may be"
)
"""The meaning of `Estimate.reaches_below_zero` for a reader."""

REPEATABILITY_ALONE = (
    " Intervals of energies show repeatability over cycles alone; the table of results has the "
    "total intervals, with the limits of the power sensor, as well."
)
"""Sentence of a caption for figures of what a power sensor read."""


@dataclass(frozen=True)
class Estimate:
    """One metric of one experiment group, in the metric's display unit."""

    metric: Metric
    experiment: str
    label: str
    """Short name of the experiment, and `places` where they differ in the campaign."""
    places: tuple[str, ...]
    device_model: str
    power_limit_watts: float | None
    terms: str
    """Load mode, its rate, and for energies scope and device: estimates of other terms are not
    ranked with this one."""
    scope: str
    """For energies the last of these terms, which is no setting."""
    saturated: bool
    """True for cycles of an open load whose queue grew: they are shown and never ranked."""
    n: int
    mean: float
    standard_uncertainty: float | None
    """Standard uncertainty of the mean from the spread over cycles; None for n = 1."""
    low: float | None
    """Repeatability interval: 95 % for the mean, from the spread over cycles; None for n = 1."""
    high: float | None
    total_low: float | None
    """Total interval: repeatability and the limits of the power sensor; None where they are not
    known, and for metrics that no power sensor is part of."""
    total_high: float | None
    values: tuple[float, ...]
    """One for each cycle that has one."""
    out_of_memory: int
    """Cycles that have none because memory ran out."""

    @property
    def half_width(self) -> float | None:
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    @property
    def reaches_below_zero(self) -> bool:
        """True where the interval holds negative values though all cycles are positive.

        No quantity here can be negative. The t interval does not know that, and is kept as it is:
        it shows how little so few scattered cycles say about the mean.
        """
        return self.low is not None and self.low < 0 < min(self.values, default=0)

    @property
    def interval_texts(self) -> tuple[str, ...]:
        """`62.8 to 65.8`, or `below 0 to 4 567`; empty where there is no interval.

        Where a power sensor was read, both intervals with their names: `repeatability 62.8 to 65.8`
        and `total with the sensor 59.1 to 69.5`.
        """
        if self.repeatability_text is None:
            return ()
        if self.metric.sensor is None:
            return (self.repeatability_text,)
        total = self.total_text or "unknown"
        return f"repeatability {self.repeatability_text}", f"total with the sensor {total}"

    @property
    def repeatability_text(self) -> str | None:
        return self._text(self.low, self.high)

    @property
    def total_text(self) -> str | None:
        return self._text(self.total_low, self.total_high)

    def _text(self, low: float | None, high: float | None) -> str | None:
        if low is None or high is None:
            return None
        if low < 0 < min(self.values, default=0):
            return f"below 0 to {number(high, (high - low) / 2)}"
        return interval(low, high)

    def overlaps(self, other: "Estimate") -> bool:
        """True where the intervals may have a value in common, as unknown ones always may.

        Between devices the total intervals count where a power sensor was read: its gain cancels on
        one device only.
        """
        between = self.metric.sensor and self.device_model != other.device_model
        (low, high), (other_low, other_high) = (
            (e.total_low, e.total_high) if between else (e.low, e.high) for e in (self, other)
        )
        if low is None or high is None or other_low is None or other_high is None:
            return True
        return low <= other_high and other_low <= high


@lru_cache(maxsize=32)
def estimates(summary: Summary, metric: Metric) -> Sequence[Estimate]:
    """Every group with a value of `metric`, best first within its terms; none whose values are
    those of its arrivals.

    Cached, because many figures and tables need the same ones.
    """
    terms_of = (*TERMS, *([metric.scope_column] if metric.scope_column else []))
    values, status = column(summary, metric.column), column(summary, "status")
    modes = column(summary, "load_mode")
    groups = places_of_groups(summary)
    names = short_names(summary)
    places = place_columns(summary)
    factor = metric.shown_factor
    found = []
    for row in rows_of_metrics(summary).get(metric.column, ()):
        group = groups[text_key(row[name] for name in GROUP)]
        if by_arrivals(metric, modes[group[0]]):
            continue
        place = tuple(place_text(row, name) for name in places)
        found.append(
            Estimate(
                metric=metric,
                experiment=row["experiment"],
                label=", ".join(filter(None, (names[row["experiment"]], *place))),
                places=place,
                device_model=str(row["device_model"]),
                power_limit_watts=_number(row["power_limit_watts"]),
                terms=_terms(summary, group, terms_of),
                scope=_terms(summary, group, terms_of[len(TERMS) :]),
                saturated=row["saturated"] is True,
                n=int(row["n"]),
                mean=row["mean"] * factor,
                standard_uncertainty=_number(row["repeatability_standard_uncertainty"], factor),
                low=_number(row["t_low"], factor),
                high=_number(row["t_high"], factor),
                total_low=_number(row["total_low"], factor),
                total_high=_number(row["total_high"], factor),
                values=tuple(float(values[i]) * factor for i in group if values[i] is not None),
                out_of_memory=sum(status[i] == "out_of_memory" for i in group),
            )
        )
    sign = -1 if metric.higher_is_better else 1
    return tuple(sorted(found, key=lambda estimate: (estimate.terms, sign * estimate.mean)))


def ranked(summary: Summary, metric: Metric) -> Sequence[Estimate]:
    """Every group that may be the best of its terms, best first: no saturated one."""
    return tuple(e for e in estimates(summary, metric) if not e.saturated)


def by_label(
    summary: Summary, metrics: Iterable[Metric]
) -> tuple[list[str], dict[Metric, dict[str, Estimate]]]:
    """All labels, best first, and the estimates by label of each metric that has any."""
    ranked = {metric: found for metric in metrics if (found := estimates(summary, metric))}
    labels = dict.fromkeys(e.label for found in ranked.values() for e in found)
    return list(labels), {m: {e.label: e for e in found} for m, found in ranked.items()}


def as_data(shown: Iterable[Estimate]) -> pd.DataFrame:
    """Estimates as the data of a figure, in the units in which it shows them."""
    return pd.DataFrame(
        [
            {
                "experiment": e.experiment,
                "label": e.label,
                "metric": e.metric.column,
                "unit": e.metric.display_unit,
                "n": e.n,
                "mean": e.mean,
                "t_low": e.low,
                "t_high": e.high,
                "cycles": " ".join(f"{value:.6g}" for value in e.values),
            }
            | ({"total_low": e.total_low, "total_high": e.total_high} if e.metric.sensor else {})
            for e in shown
        ]
    )


def below_zero_sentence(shown: Iterable[Estimate]) -> str:
    """The sentence of a caption that explains open ends of intervals; empty if there are none."""
    if not any(estimate.reaches_below_zero for estimate in shown):
        return ""
    return f" Hollow triangle at 0: {BELOW_ZERO}."


def without_value(summary: Summary, metric: Metric) -> list[tuple[str, str]]:
    """(label, reason) of every planned experiment without a value of `metric`."""
    valued = {e.experiment for e in estimates(summary, metric)}
    reasons_of = ["energy_reason", "token_latency_reason"]
    measured = summary.measurements[["experiment", "status", "load_mode", *reasons_of]]
    measured = measured[~measured["experiment"].isin(valued)]
    decided = measured["load_mode"].map(lambda mode: by_arrivals(metric, mode)).astype(bool)
    measured = measured[~(decided & measured["status"].eq("completed"))]
    name_at = summary.findings.design.name_at
    why = {name_at(gap.path): "not measured" for gap in summary.findings.missing}
    why |= {name_at(gap.path): "result unusable" for gap in summary.findings.unusable}
    for name, group in measured.groupby("experiment", sort=False):
        reasons = group["energy_reason"].dropna().unique()
        if (group["status"] == "out_of_memory").all():
            why[str(name)] = "out of memory"
        elif metric.kind == "energy" and len(reasons):
            why[str(name)] = f"no energy: {', '.join(reasons)}"
        elif metric.kind == "latency" and group["token_latency_reason"].notna().any():
            why[str(name)] = "not streamed"
        else:
            why[str(name)] = "no value"
    names = short_names(summary)
    return [(names[name], text) for name, text in why.items() if name not in valued]


@lru_cache(maxsize=4)
def short_names(summary: Summary) -> Mapping[str, str]:
    """Each planned experiment's name without the parts with which all of them begin."""
    gaps = [*summary.findings.missing, *summary.findings.unusable]
    names = {*summary.measurements["experiment"]}
    return shortened(names | {summary.findings.design.name_at(gap.path) for gap in gaps})


def shortened(names: Collection[str]) -> Mapping[str, str]:
    """Each name without the parts with which all of them begin."""
    columns = zip(*(name.split("_") for name in names), strict=False)
    shared = sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, columns))
    if not shared:
        return {name: name for name in names}
    return {name: " ".join(name.split("_")[shared:]) or name for name in names}


def place_columns(summary: Summary) -> list[str]:
    """Columns of the place of measurement that differ in the campaign; labels then name them."""
    table = summary.measurements
    found = ["device_model"] if table["device_model"].nunique() > 1 else []
    limits = table["limit_before_watts"].nunique(dropna=False)  # one that is set is a setting
    found += ["power_limit_watts"] if limits > 1 else []
    return found + (["saturated"] if table["saturated"].eq(True).any() else [])


def place_text(row: Mapping[Any, Any], column: str) -> str:
    """The value of one of `place_columns` in a label."""
    value = row[column]
    if column == "saturated":
        return "saturated" if value is True else ""
    if column == "device_model":
        return str(value)
    return "no power limit" if pd.isna(value) else f"{value:g} W"


def _terms(summary: Summary, group: Sequence[int], names: Sequence[str]) -> str:
    found = dict.fromkeys(
        f"{value:g} requests/s" if name == "request_rate" else str(value)
        for name in names
        for value in map(column(summary, name).__getitem__, group)
        if value is not None
    )
    return ", ".join(found)


def _number(value: Any, factor: float = 1.0) -> float | None:
    return None if pd.isna(value) else float(value) * factor
