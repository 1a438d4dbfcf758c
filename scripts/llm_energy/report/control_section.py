"""The controls of a campaign on the page."""

from llm_energy.analysis.controls import IDLE_POWER, MARGIN, ControlFinding
from llm_energy.analysis.summary import Summary
from llm_energy.report.comparison_section import TITLES
from llm_energy.report.page_tables import (
    Cell,
    Column,
    Table,
    cell,
    estimate_cell,
    interval_cell,
    words,
)
from llm_energy.system.numbers import interval, number, percent, plural

KINDS = {
    "a_a": "A/A: the same settings twice, in engine processes of their own",
    "idle": "Idle: no requests to the loaded engine",
    "sampler_off": "Sampler off: power not read in the window",
    "neighbours": "Neighbours: the same settings while no other set of GPUs measures",
}
"""Kind of a control -> its words."""

VERDICTS = {
    "pass": "passed",
    "inconclusive": "inconclusive",
    "undecided": "undecided",
    "fail": "failed",
    "not_testable": "not testable",
}
"""Verdict on a control -> its words."""

METRICS = {**TITLES, IDLE_POWER: "Power, second half of the idle phase over its first"}

CAPTION = (
    "Measurements whose outcome is known beforehand: each ratio must be 1. A control passes where "
    f"its 95 % interval lies inside ±{percent(MARGIN, 0)}; it fails where its 99 % interval "
    "excludes 1, but for all others than A/A only if the 95 % interval reaches beyond that limit. "
    "Ratios are paired by cycle within a session and not adjusted for each other. Measurements of "
    "controls are no part of anything else on this page."
)


def controls_table(summary: Summary) -> Table | None:
    """One row for each control and metric; None where the campaign has none."""
    columns = [*words("Control", "Metric"), *map(Column, ("Ratio", "99 % interval", "Pairs"))]
    columns += words("Verdict", "In words")
    rows = [_row(finding) for finding in summary.findings.controls]
    return Table(columns, rows) if rows else None


def controls_text(summary: Summary) -> str:
    """The outcome of the controls, for the methods section."""
    outcomes = [f"{control_name(one)} {_outcome(one)}" for one in summary.findings.controls]
    return (
        "The measuring itself was tested with controls, whose ratio to their base must be 1 "
        f"(limit ±{percent(MARGIN, 0)}): {'; '.join(outcomes)}."
    )


def failed_controls(summary: Summary) -> list[str]:
    """A sentence for each control that failed, and for neighbours that may disturb, for the head of
    the page."""
    outcomes = {"fail": "failed", "undecided": "is undecided"}
    return [
        f"The control “{_kind(one)}” {outcomes[one.verdict]} by {_metric(one)}. {one.reason}"
        for one in summary.findings.controls
        if one.verdict in outcomes
    ]


def control_name(one: ControlFinding) -> str:
    """`A/A by throughput`."""
    return f"{_kind(one)} by {_metric(one)}"


def _row(one: ControlFinding) -> list[Cell]:
    flagged = f"Flags of its measurements: {', '.join(one.flags)}" if one.flags else ""
    return [
        Cell(KINDS[one.kind], f"of {one.base}", one.kind),
        Cell(METRICS[one.metric], sort=one.metric),
        estimate_cell(one.ratio, one.low, one.high),
        interval_cell(one.low_99, one.high_99),
        cell(one.pairs),
        Cell(VERDICTS[one.verdict], sort=one.verdict),
        Cell(one.reason, flagged),
    ]


def _kind(one: ControlFinding) -> str:
    return KINDS[one.kind].partition(":")[0]


def _metric(one: ControlFinding) -> str:
    title = METRICS[one.metric].partition(",")[0]
    return f"{title[0].lower()}{title[1:]}"


def _outcome(one: ControlFinding) -> str:
    if one.ratio is None or one.low is None or one.high is None:
        return VERDICTS[one.verdict]
    bounds = interval(one.low, one.high)
    value = number(one.ratio, (one.high - one.low) / 2)
    return f"{VERDICTS[one.verdict]} ({value}, 95 % interval {bounds}, {plural(one.pairs, 'pair')})"
