"""Devices of one model beside each other on the page."""

from llm_energy.analysis.device_differences import DeviceDifference
from llm_energy.analysis.summary import Summary
from llm_energy.report.comparison_section import TITLES
from llm_energy.report.page_tables import Cell, Column, Table, cell, words
from llm_energy.system.numbers import fixed, percent

CAPTION = (
    "Each device against the median of the others of its model, from the means of its cycles over "
    "those of the experiments. The intervals of all devices hold together with 99 %. The spread "
    "between devices is part of the interval of each mean, as far as it can be distinguished from "
    "that between cycles; ratios between experiments are paired on one device and hold none of it."
)


def devices_table(summary: Summary) -> Table | None:
    """One row for each device and metric; None where one device was measured on."""
    columns = [*words("Device", "Metric"), *map(Column, ("Against the others", "n"))]
    rows = [_row(one) for one in summary.findings.device_differences]
    return Table([*columns, *words("In words")], rows) if rows else None


def device_notices(summary: Summary) -> list[str]:
    """A sentence for each device that stands out, for the head of the page."""
    return [
        f"{TITLES[one.metric]} on {one.device} stands out: {percent((one.ratio or 1.0) - 1.0)} "
        f"against {_others(one)} ({_interval(one)}). Look for its cause: cooling, power limit, "
        "another process."
        for one in summary.findings.device_differences
        # Of two devices each stands out against the other, which is one finding.
        if one.stands_out and (one.others > 1 or (one.ratio or 1.0) > 1.0)
    ]


def _others(one: DeviceDifference) -> str:
    if one.others == 1:
        return f"the other device of the model {one.device_model}"
    return f"the median of {one.others} other devices of the model {one.device_model}"


def _row(one: DeviceDifference) -> list[Cell]:
    change = (one.ratio or 1.0) - 1.0
    return [
        Cell(one.device, one.device_model, one.device),
        Cell(TITLES[one.metric], sort=one.metric),
        Cell(percent(change), _interval(one), change),
        cell(one.cycles),
        Cell("stands out" if one.stands_out else "", sort=one.stands_out),
    ]


def _interval(one: DeviceDifference) -> str:
    if one.low is None or one.high is None:
        return ""
    return f"{fixed(100 * (one.low - 1.0), 1)} to {percent(one.high - 1.0)}"
