"""Comparisons on the page, and the reasons of those that are not allowed."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial

from llm_energy.analysis.summary import Comparison, Summary
from llm_energy.report.estimates import short_names
from llm_energy.report.page_tables import (
    NAME,
    Cell,
    Column,
    Table,
    cell,
    estimate_cell,
    interval_cell,
    name_cell,
    words,
)
from llm_energy.results.metrics import JOULES_PER_OUTPUT_TOKEN, JOULES_PER_REQUEST, METRICS
from llm_energy.system.numbers import percent, plural

MOST_ROWS = 1000
"""Limit for one table on the page; the files hold all."""

VERDICTS = {
    "different": "different",
    "equivalent": "equivalent",
    "inconclusive": "inconclusive",
    "not_testable": "not testable",
}
"""Verdict on a comparison -> its words."""

CONTEXT = (
    "Ratios of geometric means; intervals hold with 95 % for all comparisons of their family at "
    "once, p-values and verdicts are adjusted by Holm’s method. Fewer than three pairs, or cycles "
    "of a side, give none of these. Intervals of an energy hold repeatability alone on one device, "
    "where the gain of its sensor cancels, and between devices the limits of both sensors as well."
)

PAIRED = f"Paired by cycle within a session where both sides are. {CONTEXT}"

TITLES = {metric.column: metric.short_title for metric in METRICS}


def comparison_tables(summary: Summary) -> list[tuple[str, str, Table]]:
    """(identifier, caption, table): with the reference, and along each axis."""
    findings, names = summary.findings, short_names(summary)
    found = []
    if findings.comparisons:
        reference = names[findings.design.reference or ""]
        rows = [[name_cell(names, c.experiment)] for c in findings.comparisons]
        caption = f"Each experiment against {reference}. {PAIRED}"
        found.append(("reference-table", caption, rows_of([NAME], rows, findings.comparisons)))
    if findings.axis_comparisons:
        columns = [NAME, *words("Against", "Setting", "Change")]
        rows = [
            [
                name_cell(names, c.experiment),
                name_cell(names, c.base),
                Cell((c.factor or "").replace("_", " "), sort=c.factor),
                Cell(f"{c.base_level} → {c.level}", sort=str(c.level)),
            ]
            for c in findings.axis_comparisons
        ]
        caption = f"Along each setting, all others being equal. {PAIRED}"
        found.append(("axes-table", caption, rows_of(columns, rows, findings.axis_comparisons)))
    return found


def refusals(summary: Summary) -> list[tuple[str, int, str]]:
    """(reason, number of comparisons, an example) of comparisons that are not allowed."""
    names = short_names(summary)
    return by_reason(
        (refused.reason, f"{names[refused.experiment]} with {names[refused.base]}")
        for refused in summary.findings.refused_comparisons
    )


def by_reason(refused: Iterable[tuple[str, str]]) -> list[tuple[str, int, str]]:
    """(reason, number, first example) from pairs of reason and example."""
    grouped: dict[str, list[str]] = defaultdict(list)
    for reason, example in refused:
        grouped[reason].append(example)
    return [(reason, len(examples), examples[0]) for reason, examples in grouped.items()]


def decode_table(summary: Summary) -> Table | None:
    """Energy of decoding alone, as a slope over output lengths; None where it is not known."""
    names = short_names(summary)
    rows = [
        [
            Cell(", ".join(names[name] for name in one.experiments)),
            Cell(", ".join(map(str, one.output_lengths))),
            cell(one.cycles),
            estimate_cell(one.joules_per_output_token, one.low, one.high),
            interval_cell(one.total_low, one.total_high),
            cell(one.worst_residual_relative, percent),
        ]
        for one in summary.findings.decode
    ]
    columns = [
        Column("Experiments", numeric=False),
        Column("Output lengths", "tokens", numeric=False),
        Column("n"),
        Column("Decode energy per output token, repeatability interval", "J/token"),
        Column("Total interval, with the sensor’s limits", "J/token"),
        Column("Farthest from the line"),
    ]
    return Table(columns, rows) if rows else None


def outputs_table(summary: Summary) -> Table | None:
    """Are outputs sane: equal to the reference's, and without repetition?"""
    shares = ["output_equal_share", "output_repeated_share"]
    table = summary.measurements.dropna(subset=shares, how="all")
    if table.empty:
        return None
    names = short_names(summary)
    means = table.groupby("experiment", sort=False)[shares].mean()
    rows = [
        [name_cell(names, name), *(cell(share, partial(percent, decimals=0)) for share in row)]
        for name, row in zip(means.index, means.to_numpy(), strict=True)
    ]
    titles = ("Tokens equal to the reference’s before the first difference", "Repeated 4-grams")
    return Table([NAME, *map(Column, titles)], rows)


def rows_of(
    columns: Sequence[Column],
    first: Sequence[Sequence[Cell]],
    comparisons: Sequence[Comparison],
) -> Table:
    """A table of comparisons, each with its `first` cells, which stand under `columns`."""
    repeated = repeated_by_request(comparisons)
    kept = [each for each in zip(first, comparisons, strict=True) if id(each[1]) not in repeated]
    left_out = len(kept) - MOST_ROWS
    notes = [f"{left_out} more rows are in the files only."] if left_out > 0 else []
    if repeated:
        notes.append(
            f"{plural(len(repeated), 'row')} of energy per request not shown: with equal output "
            "lengths their ratios are those of energy per output token."
        )
    more = [*words("Metric"), *map(Column, ("Ratio", "p, Holm", "Pairs"))]
    rows = [[*cells, *_row(comparison)] for cells, comparison in kept[:MOST_ROWS]]
    return Table([*columns, *more, *words("Verdict", "In words")], rows, " ".join(notes))


def repeated_by_request(comparisons: Sequence[Comparison]) -> set[int]:
    """Identities of comparisons per request that repeat the one per output token."""
    per_token = {
        (c.experiment, c.base, c.factor): c
        for c in comparisons
        if c.metric == JOULES_PER_OUTPUT_TOKEN.column
    }
    return {
        id(c)
        for c in comparisons
        if c.metric == JOULES_PER_REQUEST.column
        and (other := per_token.get((c.experiment, c.base, c.factor))) is not None
        and (c.verdict, c.marks) == (other.verdict, other.marks)
        and all(
            getattr(c, name) == getattr(other, name)
            or math.isclose(getattr(c, name) or 0, getattr(other, name) or 0, rel_tol=5e-4)
            for name in ("ratio", "simultaneous_low", "simultaneous_high")
        )
    }


def _row(comparison: Comparison) -> list[Cell]:
    return [
        Cell(TITLES.get(comparison.metric, comparison.metric), sort=comparison.metric),
        estimate_cell(comparison.ratio, comparison.simultaneous_low, comparison.simultaneous_high),
        cell(comparison.p_value_holm, lambda p: "< 0.001" if p < 0.001 else f"{p:.3f}"),
        cell(comparison.pairs),
        Cell(VERDICTS[comparison.verdict], sort=comparison.verdict),
        Cell(comparison.sentence),
    ]
