"""What a run says when it ends: where the report is and what it says, or what failed and why."""

import json
from collections.abc import Iterator
from pathlib import Path

from llm_energy import failures
from llm_energy.campaign import Campaign, Cell

LISTED = 20
"""Most missing measurements that are named one by one."""


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
    lines = [f"{len(missing)} of {len(campaign.cells)} measurements are missing:"]
    lines += [f"  {line}" for line in _reasons(missing[:LISTED], results)]
    if len(missing) > LISTED:
        lines.append(f"  and {len(missing) - LISTED} more")
    if len(missing) < len(campaign.cells):
        lines.append(f"Report of what is there: {_write_partial_report(campaign, results)}")
    return [*lines, "The same command measures what is missing."]


def _reasons(cells: list[Cell], results: Path) -> Iterator[str]:
    """Each cell with the reason and the record of its last failed attempt, if it was tried."""
    for cell in cells:
        last = failures.next_attempt(results, cell.result_path) - 1
        why = "not measured yet"
        if last:
            path = failures.failure_path(results, cell.result_path, last)
            why = f"{json.loads(path.read_text())['reason']}, see {path}"
        yield f"{cell.experiment.name} cycle {cell.cycle}: {why}"


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
