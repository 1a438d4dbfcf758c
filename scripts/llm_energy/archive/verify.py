"""Checks: is every file the one that was shipped, and is every result consistent?"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from llm_energy.analysis.decision import DECIDING, Decision, decide
from llm_energy.analysis.derived_records import read_record
from llm_energy.analysis.judgement import Judgement, judge
from llm_energy.analysis.raw_data_checks import differences
from llm_energy.analysis.record_checks import (
    Records,
    named_records,
    record_differences,
    record_problem,
)
from llm_energy.analysis.result_checks import contradictions
from llm_energy.analysis.token_ids import with_other_token_ids
from llm_energy.inputs.checksums import file_sha256
from llm_energy.results.layout import (
    JUDGEMENT,
    SUPERSEDED,
    failed_place,
    files,
    folders,
    result_path,
)
from llm_energy.results.result import (
    ResultError,
    checksum_of,
    read_planned_result,
    read_result,
)
from llm_energy.results.side_files import fault_of
from llm_energy.system.files import read_object
from llm_energy.system.numbers import plural

SUMS = "SHA256SUMS"
"""As `sha256sum --check` takes it: of every file of an archive but itself."""

CHECKSUM_SINCE = 3
"""Protocol version from which every result has a checksum, and all records that it refers to. The
version is part of `spec`, and the hash of that is in the path: a result that lost its checksum
cannot pass for an older one."""

NOT_DETERMINED = (
    "name, position, attempt, process, settings as declared and as the engine reports them, waves "
    "of the warm-up, messages, sample outputs, and what records that are gone would tell"
)
"""Parts of a result that no raw data and no record determine."""

WITHOUT_END = (
    "no end is recorded: the run goes on, or it was killed; later events are missing, and all "
    "events if its folder in .cache was deleted"
)


@dataclass(frozen=True)
class Verdict:
    """The outcome of a check."""

    looked_at: str
    """Number of checked items, such as `12 results`."""
    problems: list[str]
    """One line each."""
    notes: list[str] = field(default_factory=list)
    """Lines on what could not be checked; no problems."""


def verify_files(folder: Path) -> Verdict:
    """Check that an unpacked archive has the files that were packed, and no others."""
    listed = read_sums(folder / SUMS)
    problems = []
    for name, sha256 in listed.items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{name}: listed in {SUMS}, and not there")
        elif file_sha256(path) != sha256:
            problems.append(f"{name}: changed: its sha256 is not the one in {SUMS}")
    there = {path.relative_to(folder).as_posix() for path in result_files(folder / "results")}
    problems += [f"{name}: not listed in {SUMS}" for name in sorted(there - listed.keys())]
    return Verdict(f"{len(listed)} files", problems)


def read_sums(path: Path) -> dict[str, str]:
    """Name -> sha256 of a file of checksums."""
    lines = (line.split("  ", 1) for line in path.read_text().splitlines())
    return {name: sha256 for sha256, name in lines}


def result_files(folder: Path) -> list[Path]:
    """Every file below a results folder, sorted, without hidden ones."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(
        path
        for path in paths
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def verify_results(campaign_folder: Path) -> Verdict:
    """Check every result of a campaign, also anchors and superseded ones, and the small records.

    Args:
        campaign_folder: `results/{campaign}`.
    """
    problems, notes, without_end = list[str](), list[str](), list[str]()
    looked_at: Counter[str] = Counter()
    users: Counter[tuple[str, frozenset[str]]] = Counter()
    unsealed = 0
    records = Records.read(campaign_folder)
    for folder in folders(campaign_folder):
        paths = list(files(folder, "measurements", "anchors"))
        problems += _other_token_ids(paths, campaign_folder)
        for path in paths:
            where = path.relative_to(campaign_folder).as_posix()
            name = path.relative_to(folder).as_posix()
            checked = check_result(folder, name, records)
            looked_at[where.partition("/")[0]] += 1
            users.update(checked.records.items())
            problems += [f"{where}: {problem}" for problem in checked.problems]
            unusable = [f"{where}: {problem}" for problem in checked.unusable]
            if folder == campaign_folder:
                problems += unusable
            else:
                notes += [f"{line}; it was set aside for that" for line in unusable]
            unsealed += not checked.sealed
        problems += _wrong_decisions(folder, campaign_folder)
    lost = {
        name: f"{name}: {problem}; {plural(count, 'result')} measured with it"
        for (name, keys), count in sorted(users.items())
        if (problem := record_problem(campaign_folder / name, keys)) is not None
    }
    problems += lost.values()
    for path in files(campaign_folder, "failures", "runs", "environment"):
        where = path.relative_to(campaign_folder).as_posix()
        try:
            record = read_object(path)
            if where.startswith("failures/"):
                failed_place(where)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            problems += [f"{where}: {reason}"] * (where not in lost)
            continue
        if path.parent.name == "runs" and record.get("ended", "") is None:
            without_end.append(where)
    if without_end:
        notes.append(f"{', '.join(without_end)}: {WITHOUT_END}")
    if unsealed:
        notes.append(
            f"{unsealed} of {looked_at.total()} results have no checksum, as before protocol "
            f"{CHECKSUM_SINCE}; not determined by raw data, and not checked in them: "
            f"{NOT_DETERMINED}"
        )
    return Verdict(_counted(looked_at), problems, notes)


def _counted(looked_at: Counter[str]) -> str:
    """Format how many results were checked: those of the campaign's file, and which others."""
    measured, anchors, superseded = (looked_at[k] for k in ("measurements", "anchors", SUPERSEDED))
    others = [plural(anchors, "anchor")] * bool(anchors)
    others += [f"{superseded} superseded"] * bool(superseded)
    count = plural(looked_at.total(), "result")
    return f"{count} ({', '.join([plural(measured, 'measurement'), *others])})" if others else count


def _other_token_ids(paths: Iterable[Path], campaign_folder: Path) -> Iterator[str]:
    """Yield a problem for each result with other token ids than others of its specification."""
    results, places = [], {}
    for path in paths:
        with suppress(ResultError):  # reported where it is checked itself
            results.append(read_result(path))
            places[id(results[-1])] = path.relative_to(campaign_folder).as_posix()
    for result, first in with_other_token_ids(results):
        yield (
            f"{places[id(result)]}: its prompts have other token ids than those of "
            f"{places[id(first)]}, a result of the same specification"
        )


def _wrong_decisions(folder: Path, campaign_folder: Path) -> Iterator[str]:
    """Decisions on further cycles that do not follow from the first cycles, if these exist."""
    for path in files(folder, "decisions"):
        where = path.relative_to(campaign_folder).as_posix()
        if path.name.startswith(JUDGEMENT):
            yield from (f"{where}: {problem}" for problem in _wrong_judgement(folder, path))
            continue
        try:
            decision = read_record(Decision, path)
        except ResultError:
            yield f"{where}: cannot be read"
            continue
        first = range(1, decision.first + 1)
        names = [result_path(path.parent.name, cycle) for cycle in first]
        try:
            results = [read_result(folder / name) for name in names]
        except ResultError:
            continue  # reported where it is checked itself, or measured again
        again = decide(results, decision.target_relative_half_width)
        if _made(decision) == _made(again):
            continue
        # Throughput decided on open loads as well until they had metrics of their own.
        earlier = decide(results, decision.target_relative_half_width, metrics=DECIDING)
        if _made(decision) != _made(earlier):
            yield f"{where}: says {decision.cycles} cycles, the first ones ask for {again.cycles}"


def _made(decision: Decision) -> tuple[object, ...]:
    return decision.metric, decision.values, decision.cycles


def _wrong_judgement(folder: Path, path: Path) -> Iterator[str]:
    """Yield what contradicts the judgement of a rate, if the results of its cycles exist."""
    try:
        stated = read_record(Judgement, path)
    except ResultError:
        yield "cannot be read"
        return
    cycles = range(1, len(stated.attainments) + 1)
    names = [result_path(path.parent.name, cycle) for cycle in cycles]
    with suppress(ResultError):  # reported where it is checked itself, or measured again
        results = [read_result(folder / name) for name in names]
        again = judge(results, stated.objectives, folder)
        if (again.attainments, again.growing, again.good) != (
            stated.attainments,
            stated.growing,
            stated.good,
        ):
            yield (
                f"says {_in_words(stated.good)} by attainments {stated.attainments}, its results "
                f"give {_in_words(again.good)} by {again.attainments}"
            )


def _in_words(good: bool) -> str:
    return "good" if good else "not good"


@dataclass(frozen=True)
class Checked:
    """The outcome of the check of one result."""

    problems: list[str]
    unusable: list[str] = field(default_factory=list)
    """Problems for which `remeasure=invalid` measures it again: it cannot be read, or has lost its
    raw data."""
    sealed: bool = True
    """False where it can be read and has no checksum."""
    records: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The records that must be there: their names below the campaign's folder, and their keys."""


def check_result(folder: Path, name: str, records: Records) -> Checked:
    """Check one result: schema, specification, side files, physics, records, raw data, checksum."""
    try:
        result = read_planned_result(folder, name)
    except ResultError as error:
        return Checked([], [str(error).removeprefix(f"{folder / name}: ")])
    found = ((file, fault_of(folder, file)) for file in result.side_files.values())
    damaged = [f"its {file.path} {fault}" for file, fault in found if fault]
    checks = [contradictions(result), record_differences(records, result)]
    if not damaged:
        checks.append(differences(folder, result))
    problems = [problem for check in checks for problem in _until_it_breaks(check)]
    recent = result.protocol_version >= CHECKSUM_SINCE
    if result.checksum is None and recent:
        problems.append("it has no checksum")
    elif result.checksum not in (None, checksum_of(json.loads((folder / name).read_bytes()))):
        what = "" if problems or damaged else "; what was changed is not determined by raw data"
        problems.append(f"it was changed after it was written: its checksum does not fit{what}")
    sealed = result.checksum is not None
    return Checked(problems, damaged, sealed, named_records(result) if recent else {})


def _until_it_breaks(check: Iterator[str]) -> Iterator[str]:
    """Yield what a check finds. A value that was edited may break any formula: that is a problem
    of this result, and stops the check of no other."""
    try:
        yield from check
    except Exception as error:
        yield f"it cannot be checked further: {type(error).__name__}: {error}"
