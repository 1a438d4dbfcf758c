"""The small records beside the results: failed attempts, and what runs went through.

No number depends on them, so a damaged one is told, and stops nothing.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llm_energy.analysis.run_events import sentence
from llm_energy.analysis.summary import Event, Failure, Gap
from llm_energy.results.result import ResultError


def failures(campaign_folder: Path) -> Iterator[Failure]:
    """Every failed attempt; of a damaged record, what its path says."""
    for path in sorted(campaign_folder.glob("failures/**/cycle-*.attempt-*.json")):
        cycle, attempt = path.stem.split(".")
        try:
            record = _read_record(path, "reason", "message")
        except ResultError as error:
            record = {"reason": "record_unusable", "message": f"Its record is {error}."}
        yield Failure(
            path=path.relative_to(campaign_folder).as_posix(),
            experiment=path.parts[-3],
            cycle=int(cycle.removeprefix("cycle-")),
            attempt=int(attempt.removeprefix("attempt-")),
            reason=str(record["reason"]),
            message=str(record["message"]),
            anchor=path.parts[-4] == "anchors",
        )


def runs(campaign_folder: Path) -> tuple[list[Event], list[Gap]]:
    """What the records of runs tell, and which of them are damaged."""
    events, damaged = [], []
    for path in sorted(campaign_folder.glob("runs/*.json")):
        try:
            record = _read_record(path, "run_id", "events")
            events += [
                Event(
                    run_id=record["run_id"],
                    time=event["time"],
                    kind=event["kind"],
                    detail=sentence(event),
                )
                for event in record["events"]
            ]
        except (ResultError, KeyError, TypeError, ValueError) as error:
            reason = str(error) if isinstance(error, ResultError) else "no record of events"
            name = path.relative_to(campaign_folder).as_posix()
            damaged.append(Gap(path=name, reason=f"the record of a run, {reason}"))
    return events, damaged


def snakemake_versions(campaign_folder: Path) -> list[str]:
    """The versions of Snakemake that ran the campaign, as far as records of runs say."""
    found = set()
    for path in campaign_folder.glob("runs/*.json"):
        with contextlib.suppress(ResultError):
            found.add(str(_read_record(path, "snakemake")["snakemake"]))
    return sorted(found)


def _read_record(path: Path, *needed: str) -> dict[str, Any]:
    """A small record beside the results, in which `needed` must stand.

    Raises:
        ResultError: it does not; the message completes `it is …`. No number depends on such a
            record, so a half-written one is told, and stops nothing.
    """
    try:
        record: dict[str, Any] = json.loads(path.read_bytes())
    except OSError as error:
        raise ResultError(f"not readable ({error.strerror})") from error
    except ValueError as error:
        raise ResultError("damaged (no complete JSON)") from error
    if not isinstance(record, dict) or any(name not in record for name in needed):
        raise ResultError(f"damaged (without {' or '.join(needed)})")
    return record
