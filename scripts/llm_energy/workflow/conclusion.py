"""The last lines of a run: place and headline of the report, or what failed and why."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.experiment import PlannedMeasurement
from llm_energy.results.failures import last_failure, reason_of
from llm_energy.results.result import ResultError, read_planned_result
from llm_energy.system.scripting import disk_refusal
from llm_energy.workflow.decisions import decided, requested
from llm_energy.workflow.late_events import late_lines

LISTED = 20
"""Most measurements that are named one by one."""


def success(results: Path) -> list[str]:
    """Headline and place of the report; empty where this invocation made none."""
    headline, report = results / "summary/headline.txt", results / "report.html"
    if not (headline.exists() and report.exists()):
        return []
    lines = [*headline.read_text().rstrip().splitlines(), f"Report: {report}"]
    return [*lines, *late_lines(results)]


def failure(
    campaign: Campaign, results: Path, *, anchors: Iterable[PlannedMeasurement] = ()
) -> list[str]:
    """Name what is missing and why, and write the partial report of what is there.

    Empty where every measurement has its result: then something else failed, with its own message.

    Args:
        anchors: those that were requested.
    """
    wanted = requested(campaign, decided(campaign, results))
    missing: list[PlannedMeasurement] = []
    there: list[PlannedMeasurement] = []
    for planned in wanted:
        (there if (results / planned.result_path).exists() else missing).append(planned)
    unusable = [reason for planned in there if (reason := _why_unusable(planned, results))]
    lost = [anchor for anchor in anchors if not (results / anchor.result_path).exists()]
    lines = _of_missing(missing, len(wanted), results) + _of_unusable(unusable, len(there))
    lines += [_of_anchor(anchor, results) for anchor in lost]
    if lines and len(there) > len(unusable):
        lines.append(_partial_report(campaign, wanted, results))
    if missing:
        lines.append("The same command measures what is missing.")
    elif lost and not unusable:
        lines.append("The same command makes the report without it.")
    return lines


def _of_missing(missing: Sequence[PlannedMeasurement], count: int, results: Path) -> list[str]:
    if not missing:
        return []
    tried = [(c, last) for c in missing if (last := last_failure(results, c.result_path))]
    failed = [_failed(planned, record) for planned, (_, record) in tried]
    lines = [f"{len(missing)} of {count} measurements are missing:", *_listed(failed)]
    if len(tried) < len(missing):
        lines.append(f"  {len(missing) - len(tried)} not measured; what stopped them stands above")
    return lines


def _of_anchor(anchor: PlannedMeasurement, results: Path) -> str:
    """An anchor belongs to its session: another one cannot make up for it."""
    name = f"The anchor ({anchor.experiment.name} once more)"
    failed = last_failure(results, anchor.result_path)
    if failed is None:
        return f"{name} was not measured."
    return f"{name} failed: {reason_of(failed[1])}, see {failed[1]}"


def _of_unusable(reasons: Sequence[str], there: int) -> list[str]:
    if not reasons:
        return []
    again, put = "it again and keep the file", "it"
    if len(reasons) > 1:
        again, put = "them again and keep the files", "their paths"
    remedy = (
        f"to measure {again}, put {put} before the options, and add: --config remeasure=invalid"
    )
    return [f"{len(reasons)} of {there} results cannot be used; {remedy}", *_listed(reasons)]


def _listed(lines: Sequence[str]) -> list[str]:
    more = [f"  and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return [f"  {line}" for line in lines[:LISTED]] + more


def _why_unusable(planned: PlannedMeasurement, results: Path) -> str | None:
    try:
        read_planned_result(results, planned.result_path)
    except ResultError as error:
        return str(error)
    return None


def _failed(planned: PlannedMeasurement, record: Path) -> str:
    return f"{planned.experiment.name} cycle {planned.cycle}: {reason_of(record)}, see {record}"


def _partial_report(campaign: Campaign, wanted: Sequence[PlannedMeasurement], results: Path) -> str:
    try:
        return f"Report of what is there: {_write_partial_report(campaign, wanted, results)}"
    except OSError as error:
        return f"No report of what is there: {disk_refusal(error) or error}"


def _write_partial_report(
    campaign: Campaign, wanted: Sequence[PlannedMeasurement], results: Path
) -> Path:
    # pandas, scipy and matplotlib: loaded only where there is something to report
    from llm_energy.analysis.design import Design
    from llm_energy.report.page import write_report

    return write_report(
        results,
        planned=[planned.result_path for planned in wanted],
        design=Design(**campaign.design),
        partial=True,
    )
