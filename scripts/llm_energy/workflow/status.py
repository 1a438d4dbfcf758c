"""Where every measurement of a campaign stands, by the files of results, failures and runs.

Nothing is locked, started or removed: it may be called at any time, also during a run.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.experiment import PlannedMeasurement
from llm_energy.results import failures, layout
from llm_energy.results.heads import read_head
from llm_energy.results.layout import REPLICATE_NAME
from llm_energy.runs.concurrency import SERIAL, Concurrency, Expected, living_concurrency
from llm_energy.runs.progress import MEASURING, estimated_s, human_duration
from llm_energy.runs.run import Run
from llm_energy.runs.run_records import Measuring
from llm_energy.system.files import write_atomically
from llm_energy.system.numbers import plural
from llm_energy.workflow.decisions import decided, requested, undecided
from llm_energy.workflow.plan import phases_s, taken_s
from llm_energy.workflow.rate_searches import lines as search_lines
from llm_energy.workflow.unnamed import unnamed_results

MANIFEST = "campaign.tsv"
WAITS = "waits for "
LISTED = 20
"""Most failed measurements that are named one by one."""

Status = Literal["done", "unusable", "running", "failed", "pending"]

MARKS: Mapping[Status, str] = {
    "done": "+",
    "unusable": "?",
    "running": ">",
    "failed": "x",
    "pending": ".",
}


@dataclass(frozen=True)
class Standing:
    """One measurement; a row of `campaign.tsv`."""

    position: int
    """Rank in the planned order, from 0."""
    experiment: str
    cycle: int
    spec_hash: str
    path: str
    """Path of its result, which may be missing, relative to the campaign's results folder."""
    status: Status = "pending"
    reason: str = ""
    """`out_of_memory` where done, what is wrong with its file where unusable, what it waits for
    where running; else the reason code of the last failed attempt, also of one that is measured
    again."""
    attempt: int | None = None
    """The attempt that succeeded, runs now, or failed last; from 1."""
    started: str | None = None
    """ISO 8601, UTC."""
    finished: str | None = None
    duration_s: float | None = None
    file: str = ""
    """Result or failure record, relative to the campaign's results folder."""


def standings(campaign: Campaign, results: Path) -> list[Standing]:
    """Return every measurement that is requested so far, in planned order.

    Args:
        results: `results/{campaign}`.

    Raises:
        OSError: a folder of results or failures cannot be read.
        ResultError: a decision cannot be read.
    """
    living = [found for run in Run.all() if (found := _living(run, results))]
    running = {measuring.result: measuring for _, measuring in living if measuring}
    begun = min((started for started, _ in living), default=None)
    there, failed = layout.names(results, layout.MEASURED), layout.names(results, "failures")
    rows = []
    for planned in requested(campaign, decided(campaign, results)):
        path = planned.result_path
        row = _with_result(planned, results) if path in there else None
        if row is None:
            row = _pending(planned)
            if layout.failure_path(path, 1) in failed:
                row = _after_failure(row, results, begun)
            if now := running.get(path):
                row = _running(row, now)
        rows.append(row)
    return rows


def _living(run: Run, results: Path) -> tuple[str, Measuring | None] | None:
    """When a run that adds to `results` began and what it measures; None for any other.

    A run may end, and take its folder away, while it is looked at.
    """
    try:
        record = run.record
        if run.results != results.absolute() or not run.alive():
            return None
        measuring = run.find(MEASURING, Measuring)
        if measuring and run.on_this_host and not measuring.process.alive():
            measuring = None
    except (OSError, ValueError):
        return None
    return record.started, measuring


def _place(planned: PlannedMeasurement) -> tuple[int, str, int, str, str]:
    """Return the fields of `Standing` that name a measurement."""
    experiment = planned.experiment
    names = (experiment.name, planned.cycle, experiment.spec_hash, planned.result_path)
    return (planned.position, *names)


def _pending(planned: PlannedMeasurement) -> Standing:
    return Standing(*_place(planned))


def _with_result(planned: PlannedMeasurement, results: Path) -> Standing | None:
    """Return a measurement by its result; None where that is gone."""
    path = planned.result_path
    try:
        return _done(planned, read_head(f"{results}/{path}"))
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = str(error.strerror)
    except ValueError as error:
        reason = str(error)
    except (KeyError, TypeError):
        reason = "not a result"
    return replace(_pending(planned), status="unusable", reason=reason, file=path)


def _done(planned: PlannedMeasurement, result: Mapping[str, Any]) -> Standing:
    started, finished = result["started"], result["finished"]
    replicate = str(result["experiment"]).endswith(REPLICATE_NAME)  # an older one: its base's spec
    same = replicate or result["spec_hash"] == planned.experiment.spec_hash
    if result["cycle"] != planned.cycle or not same:
        raise ValueError("it is the result of another measurement")
    return Standing(
        *_place(planned),
        status="done",
        reason="" if result["status"] == "completed" else result["status"],
        attempt=result["attempt"],
        started=started,
        finished=finished,
        duration_s=round(taken_s(started, finished), 3),
        file=planned.result_path,
    )


def _running(row: Standing, now: Measuring) -> Standing:
    return replace(
        row,
        status="running",
        reason=f"{WAITS}{now.waits_for}" if now.waits_for else row.reason,
        attempt=now.attempt,
        started=now.started,
        finished=None,
    )


def _after_failure(row: Standing, results: Path, begun: str | None) -> Standing:
    """Return the row with its last failed attempt.

    Args:
        begun: when the living run began, which measures again what failed before; None without.
    """
    failed = failures.last_failure(results, row.path)
    if failed is None:
        return row
    attempt, path = failed
    try:
        record = dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        record = {"reason": "record_unusable"}
    finished = record.get("failed")
    return replace(
        row,
        status="pending" if begun is not None and (finished or "") < begun else "failed",
        reason=str(record.get("reason", "")),
        attempt=attempt,
        started=record.get("started"),
        finished=finished,
        file=path.relative_to(results).as_posix(),
    )


def write_manifest(results: Path, rows: Iterable[Standing]) -> Path:
    """Write `campaign.tsv`; returns where."""
    text = io.StringIO()
    writer = csv.writer(text, dialect="excel-tab", lineterminator="\n")
    writer.writerow(field.name for field in fields(Standing))
    for row in rows:
        writer.writerow(vars(row).values())
    path = results / MANIFEST
    write_atomically(path, text.getvalue().encode())
    return path


def left_s(
    campaign: Campaign,
    rows: Sequence[Standing],
    *,
    now: datetime,
    concurrency: Concurrency = SERIAL,
) -> float:
    """Estimated time in s for what is running and pending: from what was measured, else from the
    least length of the phases.

    Args:
        concurrency: what is measured at the same time.
    """
    taken = [(row.experiment, row.duration_s) for row in rows if row.duration_s is not None]
    each_s = estimated_s({e.name: phases_s(campaign) for e in campaign.experiments}, taken)
    alone = {experiment.name for experiment in campaign.experiments if experiment.alone}
    left = []
    for row in rows:
        if row.status in ("pending", "running"):
            waits = row.status == "pending" or row.reason.startswith(WAITS)
            # What takes longer than expected takes nothing off the time of the others.
            lasts_s = max(0.0, each_s[row.experiment] - (0.0 if waits else _elapsed_s(row, now)))
            left.append(Expected(row.cycle, lasts_s, row.experiment in alone))
    return concurrency.lasts_s(left)


def _elapsed_s(row: Standing, now: datetime) -> float:
    return (now - datetime.fromisoformat(row.started)).total_seconds() if row.started else 0.0


def as_text(campaign: Campaign, results: Path, rows: Sequence[Standing]) -> str:
    """The whole campaign for people: sums, one line for each experiment, and what failed."""
    now = datetime.now(UTC)
    counts = Counter(row.status for row in rows)
    standing = ", ".join(f"{counts[status]} {status}" for status in MARKS if counts[status])
    living = living_concurrency(results)
    left = human_duration(left_s(campaign, rows, now=now, concurrency=living or SERIAL))
    left = f"{left} left{_at_once(campaign, living)}"
    head = f"Campaign {campaign.name}: {plural(len(rows), 'measurement')}: {standing}"
    lines = [f"{head}; about {left}" if counts["pending"] + counts["running"] else head]
    lines += [
        f"Running: {row.experiment} cycle {row.cycle}, for {human_duration(_elapsed_s(row, now))}"
        + (f"; {row.reason}" if row.reason.startswith(WAITS) else "")
        for row in rows
        if row.status == "running"
    ]
    lines += ["", *_table(campaign, rows)]
    lines.append("  ".join(f"{mark} {status}" for status, mark in MARKS.items() if counts[status]))
    bad = [row for row in rows if row.status in ("failed", "unusable")]
    if open_ := undecided(campaign, results):
        most = f"up to cycle {campaign.cycles}, as their spread asks for"
        lines.append(f"Undecided: {len(open_)} of these experiments may go on, {most}.")
    lines += search_lines(campaign, results)
    lines += unnamed_results(campaign, results)
    if bad:
        lines.append("")
        lines += [
            f"{row.experiment} cycle {row.cycle}: {row.reason}, see {results / row.file}"
            for row in bad[:LISTED]
        ]
        if len(bad) > LISTED:
            lines.append(f"and {len(bad) - LISTED} more, see {results / MANIFEST}")
    return "\n".join(lines) + "\n"


def _at_once(campaign: Campaign, living: Concurrency | None) -> str:
    """Say what the time that is left counts at the same time, where that may become another."""
    if living is None:  # the next command decides
        return " with one measurement at a time" if campaign.parallel else ""
    if living.allocations is None:
        return ""
    counted = f" with {plural(max(1, living.allocations), 'allocation')} at a time"
    return f"{counted}, as now" if living.allocations else counted


def _table(campaign: Campaign, rows: Sequence[Standing]) -> list[str]:
    """One line for each experiment, a mark for each of its cycles."""
    marks: dict[str, str] = {experiment.name: "" for experiment in campaign.experiments}
    for row in sorted(rows, key=lambda row: row.cycle):
        marks[row.experiment] += MARKS[row.status]
    width = max(len(name) for name, each in marks.items() if each)
    return [
        f"{name:{width}}  {each.count(MARKS['done']):3}/{len(each)}  {each}"
        for name, each in marks.items()
        if each  # a rate that its search has not come to has none
    ]
