"""What a run says when it ends: where the report is and what it says, or what failed and why."""

import json
from pathlib import Path

from llm_energy import failures
from llm_energy.campaign import Campaign, Cell

LISTED = 20
"""Most failed measurements that are named one by one."""


def success(results: Path) -> list[str]:
    """Headline and place of the report; empty where this invocation made none."""
    headline, report = results / "summary/headline.txt", results / "report.html"
    if not (headline.exists() and report.exists()):
        return []
    return [*headline.read_text().rstrip().splitlines(), f"Report: {report}"]


def failure(campaign: Campaign, results: Path) -> list[str]:
    """What is missing and why; writes the partial report of what is there.

    Empty where no measurement is missing: then something else failed, and said so.
    """
    missing = [cell for cell in campaign.cells if not (results / cell.result_path).exists()]
    if not missing:
        return []
    tried = [(cell, record) for cell in missing if (record := _last_record(cell, results))]
    lines = [f"{len(missing)} of {len(campaign.cells)} measurements are missing:"]
    lines += [f"  {_told(cell, record)}" for cell, record in tried[:LISTED]]
    if len(tried) > LISTED:
        lines.append(f"  and {len(tried) - LISTED} more that failed")
    if len(tried) < len(missing):
        lines.append(f"  {len(missing) - len(tried)} not measured; what stopped them stands above")
    if len(missing) < len(campaign.cells):
        lines.append(f"Report of what is there: {_write_partial_report(campaign, results)}")
    return [*lines, "The same command measures what is missing."]


def _last_record(cell: Cell, results: Path) -> Path | None:
    """The record of a cell's last failed attempt, if it was tried."""
    last = failures.next_attempt(results, cell.result_path) - 1
    return failures.failure_path(results, cell.result_path, last) if last else None


def _told(cell: Cell, record: Path) -> str:
    reason = json.loads(record.read_text())["reason"]
    return f"{cell.experiment.name} cycle {cell.cycle}: {reason}, see {record}"


def _write_partial_report(campaign: Campaign, results: Path) -> Path:
    # pandas, scipy and matplotlib: loaded only where there is something to report
    from llm_energy.report.page import write_report
    from llm_energy.summary import Design

    return write_report(
        results,
        planned=[cell.result_path for cell in campaign.cells],
        design=Design.model_validate(campaign, from_attributes=True),
        partial=True,
    )
