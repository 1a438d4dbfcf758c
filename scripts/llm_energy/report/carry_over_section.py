"""Carry-over between measurements on the page."""

from llm_energy.analysis.carry_over import CarryOver
from llm_energy.analysis.summary import Summary
from llm_energy.report.comparison_section import TITLES
from llm_energy.report.estimates import NOTHING
from llm_energy.report.page_tables import Cell, Column, Table, cell, words
from llm_energy.system.numbers import fixed, percent

FACTORS = {
    "position": "Place in the cycle: the last against the first",
    "predecessor": "The experiment before it",
    "process_age": "Age of the engine process: the oldest against the youngest",
}
"""Factor -> its words."""

CAPTION = (
    "Effects of where, after what and in how old a process a measurement ran, each by itself "
    "beside the levels of experiments and cycles. The intervals of all effects hold together with "
    "95 %. An effect of the size under “Would be seen” is found with 95 %; smaller ones may be "
    "hidden. Random order keeps carry-over from favouring an experiment, and adds it to the spread."
)


def carry_over_table(summary: Summary) -> Table | None:
    """One row for each factor and metric; None where nothing was measured."""
    columns = [*words("Factor", "Metric"), *map(Column, ("Effect", "Would be seen", "n"))]
    columns += words("In words")
    rows = [_row(one) for one in summary.findings.carry_over]
    return Table(columns, rows) if rows else None


def carry_over_notices(summary: Summary) -> list[str]:
    """A sentence for each effect that was seen, for the head of the page."""
    return [
        f"Carry-over: {TITLES[one.metric]} changes with {_factor(one)} ({_sized(one)}). Look for "
        "its cause before differences of this size are believed."
        for one in summary.findings.carry_over
        if one.seen
    ]


def _row(one: CarryOver) -> list[Cell]:
    after = f"clearest: after {one.after}" if one.after else ""
    return [
        Cell(FACTORS[one.factor], after, one.factor),
        Cell(TITLES[one.metric], sort=one.metric),
        Cell() if one.change is None else Cell(percent(one.change), _interval(one), one.change),
        cell(one.detectable, lambda size: f"±{percent(size)}"),
        cell(one.observations) if one.observations else Cell(NOTHING),
        Cell(one.reason or ("seen" if one.seen else "none seen"), sort=one.seen),
    ]


def _factor(one: CarryOver) -> str:
    words = {"position": "its place in the cycle", "process_age": "the age of the engine process"}
    return words.get(one.factor, f"the experiment before it, most clearly {one.after}")


def _sized(one: CarryOver) -> str:
    return f"{percent(one.change or 0.0)}, {_interval(one)}"


def _interval(one: CarryOver) -> str:
    return f"{fixed(100 * (one.low or 0.0), 1)} to {percent(one.high or 0.0)}"
