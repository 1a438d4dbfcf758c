"""The state of a campaign as its measuring jobs know it, by the records of its runs."""

import contextlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from llm_energy.backends import health
from llm_energy.results.failures import last_failure
from llm_energy.results.layout import failed_place, files, place_of
from llm_energy.results.result import Result
from llm_energy.runs.campaign_status import (
    BackendHealth,
    CampaignStatus,
    LastResult,
    write_status,
)
from llm_energy.runs.progress import MEASURING, progress_of, requested
from llm_energy.runs.run import Run, utc_now
from llm_energy.runs.run_records import Measuring, PlanEntry

LAST = "last_result"
"""Name of the run's record of its newest result."""


def note_last(run: Run, result: Result) -> None:
    """Remember the newest result of a run."""
    run.write(
        LAST,
        LastResult(
            result.experiment,
            result.cycle,
            result.finished,
            result.output_tokens_per_second,
            result.energy.joules_per_output_token,
            result.energy.reason,
        ),
    )


def report_status(whole: Run, *, results: Path, plan: Sequence[PlanEntry], running: bool) -> None:
    """Replace the campaign's `status.prom`; not in an allocation, which knows its blocks alone.

    Args:
        running: True where the measurement of this process has begun, False where it has ended.
    """
    if whole.record.invocation is not None:
        return
    entries, _ = requested(plan, results=results)
    now = progress_of(whole, results=results, whole_plan=plan)
    living = living_runs(results)
    others = len(_measuring(living)) - 1  # this process is entered as well
    at_work = max(0, others) + int(running)
    failed = len(_failed(whole, results, entries))
    left = now.requested - now.done
    write_status(
        results,
        CampaignStatus(
            campaign=whole.record.campaign,
            written=utc_now(),
            run_active=True,
            measurements={
                "done": now.done,
                "failed": failed,
                "running": at_work,
                "pending": max(0, left - failed - at_work),
            },
            time_left_s=now.left_s,
            last=whole.find(LAST, LastResult),
            backends=backends_of(living),
            recoveries=recoveries_of(results, living),
        ),
    )


def living_runs(results: Path) -> list[Run]:
    """Return the runs that add to a results folder now."""
    found = []
    for run in Run.all():
        with contextlib.suppress(OSError, ValueError):  # it ends at this moment
            if run.results == results.absolute() and run.alive():
                found.append(run)
    return found


def backends_of(runs: Iterable[Run]) -> dict[str, BackendHealth]:
    """Return the health of each backend of these runs; of several sets, that of the worst."""
    found: dict[str, BackendHealth] = {}
    for run in runs:
        for path in sorted((run.folder / "declared").glob("*.json")):
            each = health.of(run, path.stem)
            if path.stem not in found or not each.healthy:
                found[path.stem] = each
    return found


def recoveries_of(results: Path, runs: Iterable[Run]) -> Mapping[str, int]:
    """Return how often each kind of event occurred in the runs of a campaign, ended ones too."""
    kinds, living = Counter[str](), set[str]()
    for run in runs:
        with contextlib.suppress(OSError, ValueError):
            kinds.update(str(event["kind"]) for event in run.events())
            living.add(run.run_id)
    for path in files(results, "runs"):
        if path.stem in living:  # its own report had its events published
            continue
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):  # `verify` names it
            kinds.update(str(event["kind"]) for event in json.loads(path.read_bytes())["events"])
    return kinds


def _measuring(runs: Iterable[Run]) -> list[Measuring]:
    found = []
    for run in runs:
        with contextlib.suppress(OSError, ValueError):
            measuring = run.find(MEASURING, Measuring)
            if measuring and (measuring.process.alive() or not run.on_this_host):
                found.append(measuring)
    return found


def _failed(whole: Run, results: Path, entries: Iterable[PlanEntry]) -> list[str]:
    """Return the measurements without a result that failed since the run began."""
    begun = whole.record.started
    paths = (path.relative_to(results).as_posix() for path in files(results, "failures"))
    places = {failed_place(path)[0] for path in paths}
    failed = []
    for entry in entries:
        if place_of(entry.result) not in places or (results / entry.result).exists():
            continue
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            last = last_failure(results, entry.result)
            if last and json.loads(last[1].read_bytes())["failed"] >= begun:
                failed.append(entry.result)
    return failed
