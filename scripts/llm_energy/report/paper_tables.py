"""Tables for papers: CSV and Parquet with all digits, Markdown and LaTeX for people.

For people a number has its standard uncertainty in parentheses, in units of its last digits:
0.5098(72) is 0.5098 ± 0.0072 (SI Brochure, 9th edition, 5.4.5; GUM 7.2.2).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from llm_energy.analysis.dictionary import dictionary
from llm_energy.analysis.highest_good import HighestGoodRate
from llm_energy.analysis.summary import Summary
from llm_energy.analysis.table_columns import csv_of
from llm_energy.report.estimates import NOTHING, Estimate, by_label, short_names
from llm_energy.results.metrics import (
    END_TO_END,
    HOST_JOULES_PER_OUTPUT_TOKEN,
    ITL,
    JOULES_PER_OUTPUT_TOKEN,
    MEAN_POWER,
    METRICS,
    SERVED,
    THROUGHPUT,
    TTFT,
    Metric,
)
from llm_energy.system.files import write_atomically

SHOWN = (
    *(JOULES_PER_OUTPUT_TOKEN, HOST_JOULES_PER_OUTPUT_TOKEN, THROUGHPUT, MEAN_POWER),
    *(*SERVED, TTFT, ITL, END_TO_END),
)
UNCERTAINTY_DIGITS = 2
PLAIN_DIGITS = 4
"""Where no uncertainty says how many digits are known."""

Files = Mapping[str, Mapping[str, bytes]]
"""Text files of the tables, by the table's name and the file's suffix."""

_COLUMNS = {
    "": "mean",
    "_standard_uncertainty": "standard_uncertainty",
    "_t_low": "low",
    "_t_high": "high",
}
_TOTAL_COLUMNS = {"_total_low": "total_low", "_total_high": "total_high"}
"""End of a column's name -> attribute of the estimate; total where a power sensor was read."""

_LATEX = str.maketrans(
    {"×": r"$\times$", "±": r"$\pm$", "–": "--", "\N{MINUS SIGN}": "$-$", "`": None}
)
"""Characters that LaTeX does not set everywhere; tabulate escapes its special ones."""


@dataclass(frozen=True)
class PaperTable:
    name: str
    """Name of its files, without suffix."""
    caption: str
    data: pd.DataFrame
    """All digits, units in the column names."""
    shown: pd.DataFrame
    """The texts that people read."""
    texts: int
    """Columns of words, which come first; the others hold numbers."""


def tables(summary: Summary) -> list[PaperTable]:
    """Results, comparisons and highest good rates where there are any, and the data dictionary."""
    found = [
        _results(summary),
        _comparisons(summary),
        _highest_good_rates(summary),
        _dictionary(summary),
    ]
    return [table for table in found if table is not None]


def text_files(table: PaperTable) -> dict[str, bytes]:
    """Content by suffix: CSV, Markdown and LaTeX."""
    return {
        "csv": csv_of(table.data),
        "md": markdown(table).encode(),
        "tex": latex(table).encode(),
    }


def write_tables(folder: Path, summary: Summary) -> Files:
    """Write each table to `folder` as CSV, Parquet, Markdown and LaTeX; returns the text files."""
    written = {}
    for table in tables(summary):
        written[table.name] = text_files(table)
        files = written[table.name] | {"parquet": table.data.to_parquet(index=False)}
        for kind, content in files.items():
            write_atomically(folder / f"{table.name}.{kind}", content)
    return written


def markdown(table: PaperTable) -> str:
    """A table with bars, and its caption below."""
    rows = [[cell.replace("|", r"\|") for cell in row] for row in _cells(table)]
    return f"{_tabulated(table, rows, 'pipe')}\n\n{table.caption}\n"


def latex(table: PaperTable) -> str:
    """A `table` environment that needs the package booktabs and no other."""
    caption = table.caption.replace("%", r"\%")
    text = (
        f"\\begin{{table}}\n\\centering\n\\caption{{{caption}}}\n\\label{{tab:{table.name}}}\n"
        f"{_tabulated(table, _cells(table), 'latex_booktabs')}\n\\end{{table}}\n"
    )
    return text.translate(_LATEX)


def _tabulated(table: PaperTable, rows: Iterable[Sequence[str]], form: str) -> str:
    numbers = len(table.shown.columns) - table.texts
    text: str = tabulate(
        rows,
        headers=list(table.shown),
        tablefmt=form,
        disable_numparse=True,
        colalign=["left"] * table.texts + ["right"] * numbers,
    )
    return text


def _cells(table: PaperTable) -> Iterable[Sequence[str]]:
    """The rows of a table, for tabulate: `Styler` of pandas is slow with thousands of rows."""
    return zip(*(table.shown[name].tolist() for name in table.shown), strict=True)


def with_uncertainty(value: float, standard_uncertainty: float | None) -> str:
    """`0.5098(72)`; without an uncertainty, 4 significant digits and no parentheses."""
    if standard_uncertainty is None or not standard_uncertainty > 0:
        return _plain(value)
    mantissa, _, exponent = f"{standard_uncertainty:.{UNCERTAINTY_DIGITS - 1}e}".partition("e")
    digits, decimals = int(mantissa.replace(".", "")), UNCERTAINTY_DIGITS - 1 - int(exponent)
    if decimals < 0:
        return f"{round(value, decimals):.0f}({digits * 10**-decimals})"
    # An uncertainty of 1.2 stands as (1.2): its point is that of the value.
    inside = f"{digits / 10**decimals:.{decimals}f}" if digits >= 10**decimals > 1 else f"{digits}"
    return f"{value:.{decimals}f}({inside})"


def _plain(value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(0, PLAIN_DIGITS - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"


def _results(summary: Summary) -> PaperTable | None:
    labels, found = by_label(summary, SHOWN)
    if not found:
        return None
    shown, data = [], []
    for label in labels:
        known = {metric: estimates.get(label) for metric, estimates in found.items()}
        some = [estimate for estimate in known.values() if estimate is not None]
        n = max(estimate.n for estimate in some)
        shown.append([label, str(n), *(text for m, e in known.items() for text in _texts(m, e))])
        data.append(
            {"experiment": some[0].experiment, "label": label, "n": n}
            | {
                f"{metric.column}{end} ({metric.display_unit})": getattr(estimate, attribute, None)
                for metric, estimate in known.items()
                for end, attribute in (
                    _COLUMNS | _TOTAL_COLUMNS if metric.sensor else _COLUMNS
                ).items()
            }
        )
    head = ["Experiment", "n", *(title for metric in found for title in _titles(metric))]
    return PaperTable(
        "results",
        "Mean over n cycles; in parentheses the standard uncertainty of the mean from the spread "
        "over cycles (repeatability, without the sensor’s limits), in units of the last digits. "
        "Of what a power sensor read there are two 95 % intervals: repeatability, for ratios on "
        "one device, and total, with the full limits of the sensor, for a number that is quoted. "
        "Latencies are medians of a window.",
        pd.DataFrame(data),
        pd.DataFrame(shown, columns=head),
        texts=1,
    )


def _comparisons(summary: Summary) -> PaperTable | None:
    compared = [*summary.findings.comparisons, *summary.findings.axis_comparisons]
    if not compared:
        return None
    names = short_names(summary)
    titles = {metric.column: metric.short_title for metric in METRICS}
    shown = [
        {
            "Experiment": names[c.experiment],
            "Against": names[c.base],
            "Setting": (c.factor or "").replace("_", " "),
            "Metric": titles.get(c.metric, c.metric),
            "Ratio": f"{c.ratio:.4g}",
            "Interval": NOTHING
            if c.simultaneous_low is None or c.simultaneous_high is None
            else f"{c.simultaneous_low:.4g} to {c.simultaneous_high:.4g}",
            "p": NOTHING if c.p_value_holm is None else f"{c.p_value_holm:.3g}",
            "Pairs": str(c.pairs),
        }
        for c in compared
    ]
    return PaperTable(
        "comparisons",
        "Ratios of geometric means, paired by cycle within a session; 95 % intervals hold for all "
        "comparisons of a family at once, p-values are adjusted by Holm’s method. Intervals of an "
        "energy hold repeatability alone on one device, where the gain of its sensor cancels, and "
        "between devices the limits of both sensors as well.",
        pd.DataFrame([c.model_dump() | {"marks": ";".join(c.marks)} for c in compared]),
        pd.DataFrame(shown),
        texts=4,
    )


def _highest_good_rates(summary: Summary) -> PaperTable | None:
    searches = summary.findings.highest_good
    if not searches:
        return None
    shown = [
        {
            "Configuration": one.name,
            "Good requests": f"{100 * one.share:g} %",
            "Highest good rate (requests/s)": _found_rate(one),
            "At or above": NOTHING if one.low is None else f"{one.low:g}",
            "Below": NOTHING if one.high is None else f"{one.high:g}",
            "Rates": f"{len(one.visited)} of {one.rates}",
        }
        for one in searches
    ]
    return PaperTable(
        "highest_good_rates",
        "Highest rate of arrivals at which the share of good requests that was set is kept, by "
        "bisection over a grid, and the ends of its 95 % interval; a dash is an open end.",
        pd.DataFrame([one.model_dump(exclude={"visited", "sentence"}) for one in searches]),
        pd.DataFrame(shown),
        texts=1,
    )


def _found_rate(search: HighestGoodRate) -> str:
    if search.found is None:
        return "none" if search.complete else NOTHING
    return f"{'at least ' * search.at_least}{search.found:g}"


def _dictionary(summary: Summary) -> PaperTable:
    data = dictionary(summary)
    shown = data.rename(columns=str.title)
    caption = "Every column of the tables in `summary/`."
    return PaperTable("dictionary", caption, data, shown, texts=len(shown.columns))


def _titles(metric: Metric) -> list[str]:
    title, unit = metric.short_title, f"({metric.display_unit})"
    intervals = ("repeatability interval", "total interval") if metric.sensor else ()
    return [f"{title} {unit}", *(f"{title}, {name} {unit}" for name in intervals)]


def _texts(metric: Metric, estimate: Estimate | None) -> list[str]:
    """The value with its uncertainty, and where a power sensor was read both intervals."""
    if estimate is None:
        return [NOTHING] * len(_titles(metric))
    texts = [with_uncertainty(estimate.mean, estimate.standard_uncertainty)]
    if metric.sensor:
        texts += [estimate.repeatability_text or NOTHING, estimate.total_text or NOTHING]
    return texts
