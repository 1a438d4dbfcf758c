"""Tables as papers need them, with all digits and as people read them.

For people a number has its standard uncertainty in parentheses, in units of its last digits:
0.5098(72) is 0.5098 ± 0.0072 (SI Brochure, 9th edition, 5.4.5; GUM 7.2.2).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from llm_energy.analysis.dictionary import dictionary
from llm_energy.analysis.summary import Summary
from llm_energy.report.estimates import Estimate, estimates, short_names
from llm_energy.results.metrics import (
    END_TO_END,
    ITL,
    JOULES_PER_OUTPUT_TOKEN,
    MEAN_POWER,
    METRICS,
    THROUGHPUT,
    TTFT,
)

SHOWN = (JOULES_PER_OUTPUT_TOKEN, THROUGHPUT, MEAN_POWER, TTFT, ITL, END_TO_END)
UNCERTAINTY_DIGITS = 2
PLAIN_DIGITS = 4
"""Where no uncertainty says how many digits are known."""


@dataclass(frozen=True)
class PaperTable:
    name: str
    """Of its files."""
    caption: str
    data: pd.DataFrame
    """All digits, units in the column names."""
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    """As people read them; the first column is text, the others are numbers."""


def with_uncertainty(value: float, standard_uncertainty: float | None) -> str:
    """`0.5098(72)`; without an uncertainty, 4 significant digits and no parentheses."""
    if standard_uncertainty is None or not standard_uncertainty > 0:
        return _plain(value)
    exponent = math.floor(math.log10(standard_uncertainty))
    decimals = UNCERTAINTY_DIGITS - 1 - exponent
    digits = round(standard_uncertainty * 10**decimals)
    if digits >= 10**UNCERTAINTY_DIGITS:  # 0.0996 becomes 0.10, one digit fewer
        decimals -= 1
        digits = round(standard_uncertainty * 10**decimals)
    if decimals < 0:
        return f"{round(value, decimals):.0f}({digits * 10**-decimals})"
    shown = f"{value:.{decimals}f}"
    # An uncertainty of 1.2 stands as (1.2): its point is that of the value.
    inside = f"{digits / 10**decimals:.{decimals}f}" if digits >= 10**decimals > 1 else f"{digits}"
    return f"{shown}({inside})"


def tables(summary: Summary) -> list[PaperTable]:
    """Results, comparisons where there are any, and the data dictionary."""
    found = [_results(summary), _comparisons(summary), _dictionary(summary)]
    return [table for table in found if table is not None]


def _results(summary: Summary) -> PaperTable | None:
    by_metric = {metric: estimates(summary, metric) for metric in SHOWN}
    metrics = [metric for metric in SHOWN if by_metric[metric]]
    if not metrics:
        return None
    labels = list(dict.fromkeys(e.label for metric in metrics for e in by_metric[metric]))
    found = {metric: {e.label: e for e in by_metric[metric]} for metric in metrics}
    rows, data = [], []
    for label in labels:
        known = {metric: found[metric].get(label) for metric in metrics}
        n = max(e.n for e in known.values() if e is not None)
        rows.append([label, str(n), *(_told(e) for e in known.values())])
        data.append(
            {"experiment": next(e.experiment for e in known.values() if e), "label": label, "n": n}
            | {
                f"{metric.column}{suffix} ({metric.display_unit})": value
                for metric, e in known.items()
                for suffix, value in (
                    ("", e.mean if e else None),
                    ("_standard_uncertainty", _standard(e) if e else None),
                    ("_t_low", e.low if e else None),
                    ("_t_high", e.high if e else None),
                )
            }
        )
    return PaperTable(
        "results",
        "Mean over n cycles; in parentheses the standard uncertainty of the mean from the spread "
        "over cycles (repeatability, without the sensor’s gain), in units of the last digits. "
        "Latencies are medians of a window.",
        pd.DataFrame(data),
        ["Experiment", "n", *(f"{_short(m.title)} ({m.display_unit})" for m in metrics)],
        rows,
    )


def _comparisons(summary: Summary) -> PaperTable | None:
    findings = summary.findings
    compared = [*findings.comparisons, *findings.axis_comparisons]
    if not compared:
        return None
    names = short_names(summary)
    titles = {metric.column: _short(metric.title) for metric in METRICS}
    rows = [
        [
            names[c.experiment],
            names[c.base],
            (c.factor or "").replace("_", " "),
            titles.get(c.metric, c.metric),
            f"{c.ratio:.4g}",
            "–"
            if c.simultaneous_low is None or c.simultaneous_high is None
            else f"{c.simultaneous_low:.4g} to {c.simultaneous_high:.4g}",
            "–" if c.p_value_holm is None else f"{c.p_value_holm:.3g}",
            str(c.pairs),
        ]
        for c in compared
    ]
    return PaperTable(
        "comparisons",
        "Ratios of geometric means, paired by cycle within a session; 95 % intervals hold for all "
        "comparisons of a family at once, p-values are adjusted by Holm’s method.",
        pd.DataFrame([c.model_dump() | {"marks": ";".join(c.marks)} for c in compared]),
        ["Experiment", "Against", "Setting", "Metric", "Ratio", "Interval", "p", "Pairs"],
        rows,
    )


def _dictionary(summary: Summary) -> PaperTable:
    data = dictionary(summary)
    return PaperTable(
        "dictionary",
        "Every column of the tables in `summary/`.",
        data,
        [name.title() for name in data.columns],
        [list(row) for row in data.itertuples(index=False, name=None)],
    )


def _told(estimate: Estimate | None) -> str:
    return "–" if estimate is None else with_uncertainty(estimate.mean, _standard(estimate))


def _standard(estimate: Estimate) -> float | None:
    """s/√n: what the t interval is a multiple of."""
    if estimate.n < 2:
        return None
    return float(np.std(estimate.values, ddof=1)) / math.sqrt(estimate.n)


def _plain(value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(0, PLAIN_DIGITS - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"


def _short(title: str) -> str:
    return title.partition(",")[0]
