"""Events that runs recorded after the report was made: it lacks them until it is made again.

A report holds what its own run recorded before. A backend may be restarted later, before the run
ends, and an allocation may end after the report.
"""

from pathlib import Path
from typing import Any

from llm_energy.results.layout import files
from llm_energy.system.files import read_object
from llm_energy.system.numbers import plural


def late_records(results: Path) -> list[Path]:
    """Return the records of runs, newer than the report, with events that it lacks.

    They are inputs of the report, which Snakemake therefore makes again. Reports of results that
    were copied are newer than no record, or hold its events.
    """
    made_ns = _changed_ns(results / "report.html")
    if made_ns is None:
        return []
    newer = (path for path in files(results, "runs") if (_changed_ns(path) or 0) > made_ns)
    events = {path: found for path in newer if (found := _events(path, "run_id"))}
    if not events:  # the summary may be long
        return []
    held = _events(results / "summary/summary.json")
    return [path for path, found in events.items() if not found <= held]


def late_lines(results: Path) -> list[str]:
    """Return a line on a report that lacks events; none on one that holds all."""
    if not (late := late_records(results)):
        return []
    recorded = f"The report lacks events that {plural(len(late), 'run')} recorded after it was made"
    return [f"{recorded}; the command that measures the campaign makes it again."]


def _changed_ns(path: Path) -> int | None:
    """Return the time of a file in ns; None where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _events(path: Path, *needed: str) -> set[tuple[Any, ...]]:
    """Return the events in the record of a run, or in a summary; none where it is damaged, which
    the report and `verify` name."""
    try:
        record = read_object(path, "events", *needed)
        of_run = {key: record[key] for key in needed}
        each = [{**of_run, **event} for event in record["events"]]
        return {(event["run_id"], event["time"], event["kind"]) for event in each}
    except (OSError, ValueError, LookupError, TypeError):
        return set()
