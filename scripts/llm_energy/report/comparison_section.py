"""Comparisons as the page tells them, with what must not be compared and why."""

from collections.abc import Mapping, Sequence

from llm_energy.analysis.summary import Comparison, Summary
from llm_energy.report.estimates import short_names
from llm_energy.report.page_tables import NAME, NOTHING, Cell, Column, Table
from llm_energy.results.metrics import METRICS
from llm_energy.system.numbers import interval, number, percent

MOST_ROWS = 1000
"""Of one table on the page; the files hold all."""

VERDICTS = {
    "different": "different",
    "equivalent": "equivalent",
    "inconclusive": "not told apart",
    "not_testable": "not testable at this n",
}
"""Verdict on a comparison -> how people read it."""

CONTEXT = (
    "Ratios of geometric means; intervals hold with 95 % for all comparisons of their family at "
    "once, p-values are adjusted by Holm’s method."
)

PAIRED = f"Paired by cycle within a session where both sides are. {CONTEXT}"

TITLES = {metric.column: metric.title.partition(",")[0] for metric in METRICS}


def comparison_tables(summary: Summary) -> list[tuple[str, str, Table]]:
    """(identifier, caption, table): with the reference, and along each axis."""
    findings, names = summary.findings, short_names(summary)
    found = []
    if findings.comparisons:
        reference = names[findings.design.reference or ""]
        rows = [[_name(names, c.experiment)] for c in findings.comparisons]
        caption = f"Each experiment against {reference}. {PAIRED}"
        found.append(("reference-table", caption, rows_of([NAME], rows, findings.comparisons)))
    if findings.axis_comparisons:
        columns = [NAME, *(Column(t, numeric=False) for t in ("Against", "Setting", "Change"))]
        rows = [
            [
                _name(names, c.experiment),
                _name(names, c.base),
                Cell((c.factor or "").replace("_", " "), sort=c.factor),
                Cell(f"{c.base_level} → {c.level}", sort=str(c.level)),
            ]
            for c in findings.axis_comparisons
        ]
        caption = f"Along each setting, all others being equal. {PAIRED}"
        found.append(("axes-table", caption, rows_of(columns, rows, findings.axis_comparisons)))
    return found


def refusals(summary: Summary) -> list[tuple[str, int, str]]:
    """(reason, how many comparisons, an example) of what must not be compared."""
    names = short_names(summary)
    grouped: dict[str, list[str]] = {}
    for refused in summary.findings.refused_comparisons:
        pair = f"{names[refused.experiment]} with {names[refused.base]}"
        grouped.setdefault(refused.reason, []).append(pair)
    return [(reason, len(pairs), pairs[0]) for reason, pairs in grouped.items()]


def decode_table(summary: Summary) -> Table | None:
    """Energy of decoding alone, as a slope over output lengths; None where it is not known."""
    names = short_names(summary)
    rows = [
        [
            Cell(", ".join(names[name] for name in one.experiments)),
            Cell(", ".join(map(str, one.output_lengths))),
            Cell(str(one.cycles), sort=one.cycles),
            value_cell(one.joules_per_output_token, one.low, one.high),
            Cell(NOTHING)
            if one.total_low is None or one.total_high is None
            else Cell(interval(one.total_low, one.total_high), sort=one.total_high),
            Cell(percent(one.worst_residual_relative), sort=one.worst_residual_relative),
        ]
        for one in summary.findings.decode
    ]
    columns = [
        Column("Experiments", numeric=False),
        Column("Output lengths", "tokens", numeric=False),
        Column("n"),
        Column("Decode energy per output token", "J/token"),
        Column("With the sensor’s limits", "J/token"),
        Column("Farthest from the line"),
    ]
    return Table(columns, rows) if rows else None


def outputs_table(summary: Summary) -> Table | None:
    """Whether outputs are sane: equal to the reference's, and not repeating themselves."""
    shares = ["output_equal_share", "output_repeated_share"]
    table = summary.measurements.dropna(subset=shares, how="all")
    if table.empty:
        return None
    names = short_names(summary)
    means = table.groupby("experiment", sort=False)[shares].mean()
    rows = [
        [_name(names, str(name)), *(_share(value) for value in row)]
        for name, row in zip(
            means.index, means.to_numpy(dtype=float, na_value=float("nan")), strict=True
        )
    ]
    columns = [
        NAME,
        Column("Tokens equal to the reference’s until the first that differs"),
        Column("Repeated 4-grams"),
    ]
    return Table(columns, rows)


def rows_of(
    columns: Sequence[Column],
    first: Sequence[Sequence[Cell]],
    comparisons: Sequence[Comparison],
) -> Table:
    """A table of comparisons, each with its `first` cells, which stand under `columns`."""
    left_out = len(comparisons) - MOST_ROWS
    note = f"{left_out} more rows are in the files only." if left_out > 0 else ""
    columns = [
        *columns,
        Column("Metric", numeric=False),
        Column("Ratio"),
        Column("p, Holm"),
        Column("Pairs"),
        Column("Verdict", numeric=False),
        Column("In words", numeric=False),
    ]
    rows = [[*cells, *_row(c)] for cells, c in zip(first, comparisons, strict=True)]
    return Table(columns, rows[:MOST_ROWS], note)


def _row(comparison: Comparison) -> list[Cell]:
    p_value = comparison.p_value_holm
    return [
        Cell(TITLES.get(comparison.metric, comparison.metric), sort=comparison.metric),
        value_cell(comparison.ratio, comparison.simultaneous_low, comparison.simultaneous_high),
        Cell(NOTHING) if p_value is None else Cell(_p(p_value), sort=p_value),
        Cell(str(comparison.pairs), sort=comparison.pairs),
        Cell(VERDICTS[comparison.verdict], sort=comparison.verdict),
        Cell(comparison.sentence),
    ]


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def value_cell(value: float, low: float | None, high: float | None) -> Cell:
    """A value with its interval under it, or with the word that there is none."""
    if low is None or high is None:
        return Cell(number(value), "no interval", value)
    return Cell(number(value, (high - low) / 2), interval(low, high), value)


def _name(names: Mapping[str, str], experiment: str) -> Cell:
    return Cell(names[experiment], sort=experiment)


def _share(value: float) -> Cell:
    return Cell(NOTHING) if value != value else Cell(percent(value, 0), sort=value)
