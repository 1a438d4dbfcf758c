"""How many cycles each experiment was given, where its own spread decided."""

from llm_energy.analysis.summary import Summary
from llm_energy.analysis.two_stages import CyclesDecided
from llm_energy.report.estimates import short_names
from llm_energy.report.page_tables import NAME, NOTHING, Cell, Column, Table
from llm_energy.results.metrics import METRICS
from llm_energy.system.numbers import percent

TITLES = {metric.column: metric.title for metric in METRICS}


def cycles_table(summary: Summary) -> Table | None:
    """One row for each experiment that has decided; None where cycles are a number."""
    adaptive, decided = summary.findings.design.adaptive, summary.findings.cycles_decided
    if adaptive is None or not decided:
        return None
    names = short_names(summary)
    target = f"±{100 * adaptive.target_relative_half_width:g} %"
    columns = [
        NAME,
        Column("Decided by", numeric=False),
        Column("Spread of the first cycles"),
        Column(f"Cycles for {target}"),
        Column("Asked for"),
        Column("With a value"),
        Column("Reached"),
    ]
    rows = [
        [
            Cell(names[one.experiment], sort=one.experiment),
            Cell(TITLES[one.metric] if one.metric else "nothing: no spread is known"),
            _percent(one.coefficient_of_variation),
            Cell(str(one.needed), sort=one.needed),
            Cell(str(one.asked), "the most" if one.capped else "", one.asked),
            Cell(str(one.measured), sort=one.measured),
            _reached(one),
        ]
        for one in decided
    ]
    note = (
        f"The first {adaptive.first} cycles decided, once. The interval of what decided is "
        "the mean ± t·s/√N with t and s of those first cycles (Stein)."
    )
    return Table(columns, rows, note)


def _percent(value: float | None) -> Cell:
    return Cell(NOTHING) if value is None else Cell(percent(value), sort=value)


def _reached(one: CyclesDecided) -> Cell:
    if one.relative_half_width is None:
        return Cell(NOTHING)
    return Cell(f"±{percent(one.relative_half_width)}", sort=one.relative_half_width)
