"""The small records beside the results: failed attempts, and what runs went through.

No number depends on them, so a damaged one is reported, and stops nothing.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llm_energy.analysis.summary import Event, Failure, Gap
from llm_energy.results.codes import FAILURES
from llm_energy.results.layout import ANCHORS, failed_place, files
from llm_energy.results.result import ResultError
from llm_energy.system.files import DamagedError, read_object

SENTENCES = {
    "backend_discarded": "Backend {backend} was ended, since it could no longer be trusted "
    "({reason}); the next measurement that needed it started another.",
    "backend_given_up": "Backend {backend} was given up for the rest of the run, since it had "
    "failed too often in a row; the last time, {reason}. Its remaining measurements were refused.",
    "backend_lost": "Backend {backend} failed and could not be started again: {reason}.",
    "backend_recreated": "Backend {backend} was made anew, since a restart was not enough: "
    "{reason}.",
    "backend_replaced": "Backend {backend} was replaced by a new one when it was needed: {reason}.",
    "backend_restarted": "Backend {backend} was restarted: {reason}.",
    "container_out_of_memory": "In the container of backend {backend} a process was killed because "
    "the container’s memory limit was reached.",
    "set_given_up": "The set of GPUs {devices} was given up for the rest of the run: {reason}. Its "
    "blocks went on on other sets.",
    "docker_unreachable": "The Docker engine could not be reached for a while: {reason}. Its "
    "containers were looked after again once it answered.",
}
"""Kind of event -> sentence, with `{key}` for a value of its record."""


def failures(campaign_folder: Path, names: Mapping[str, str]) -> Iterator[Failure]:
    """Every failed attempt; one whose record is damaged, from the path of the record.

    Args:
        names: hash of a spec -> name of the experiment; others have the name of their record.
    """
    for path in files(campaign_folder, "failures"):
        name = path.relative_to(campaign_folder).as_posix()
        try:
            place, attempt = failed_place(name)
        except ValueError:
            continue  # somebody's copy; `verify` names it
        try:
            record = _read_record(path, "reason", "message")
        except ResultError as error:
            record = {"reason": "record_unusable", "message": f"Its record is {error}."}
        recorded = record.get("experiment", place.spec_hash)
        yield Failure(
            path=name,
            experiment=names.get(place.spec_hash, str(recorded)),
            cycle=place.cycle,
            attempt=attempt,
            reason=str(record["reason"]),
            message=str(record["message"]),
            anchor=place.kind == ANCHORS,
        )


def runs(campaign_folder: Path) -> tuple[list[Event], list[Gap]]:
    """The events that runs recorded, and the records that are damaged."""
    events, damaged = [], []
    for path in files(campaign_folder, "runs"):
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
    """The versions of Snakemake that ran the campaign, as far as runs recorded them."""
    found = set()
    for path in files(campaign_folder, "runs"):
        with contextlib.suppress(ResultError):
            found.add(str(_read_record(path, "snakemake")["snakemake"]))
    return sorted(found)


def _read_record(path: Path, *needed: str) -> dict[str, Any]:
    """A small record beside the results, in which `needed` must stand.

    Raises:
        ResultError: it does not; the message completes `it is …`. No number depends on such a
            record, so a half-written one is reported, and stops nothing.
    """
    try:
        return read_object(path, *needed)
    except FileNotFoundError as error:
        raise ResultError(f"not readable ({error.strerror})") from error
    except DamagedError as error:
        raise ResultError(f"damaged ({error})") from error


def sentence(event: Mapping[str, Any]) -> str:
    """Describe a recorded event in a sentence; a kind without one by the keys of its record."""
    values = {key: str(value) for key, value in event.items() if key not in ("time", "kind")}
    words = SENTENCES.get(event["kind"])
    if words is None:
        return ", ".join(f"{key} {values[key]}" for key in sorted(values))
    if "reason" in values:
        reason = values["reason"].strip().rstrip(".")
        values["reason"] = FAILURES.get(reason, reason)
    return words.format_map(defaultdict(lambda: "not recorded", values))
