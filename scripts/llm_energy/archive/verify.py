"""Checks: is every file the one that was shipped, and is every result consistent?"""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from llm_energy.analysis.decision import decide, read_decision
from llm_energy.analysis.raw_data_checks import differences
from llm_energy.analysis.record_checks import Records, record_differences
from llm_energy.analysis.result_checks import contradictions
from llm_energy.analysis.token_ids import with_other_token_ids
from llm_energy.inputs.checksums import file_sha256
from llm_energy.results.layout import files, folders, result_path
from llm_energy.results.result import (
    Result,
    ResultError,
    checksum_of,
    read_planned_result,
    read_result,
)

SUMS = "SHA256SUMS"
"""As `sha256sum --check` takes it: of every file of an archive but itself."""

CHECKSUM_SINCE = 3
"""Protocol version from which every result has a checksum. The version is part of `spec`, and the
hash of that is in the path: a result that lost its checksum cannot pass for an older one."""

NOT_DETERMINED = (
    "name, position, attempt, process, settings as declared and as the engine reports them, waves "
    "of the warm-up, messages, sample outputs, and what records that are gone would tell"
)
"""Parts of a result that no raw data and no record determine."""


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
    problems: list[str] = []
    count = unsealed = 0
    records = Records.read(campaign_folder)
    for folder in folders(campaign_folder):
        paths = list(files(folder, "measurements", "anchors"))
        problems += _other_token_ids(paths, campaign_folder)
        for path in paths:
            count += 1
            where = path.relative_to(campaign_folder).as_posix()
            name = path.relative_to(folder).as_posix()
            found, sealed = check_result(folder, name, records)
            problems += [f"{where}: {problem}" for problem in found]
            unsealed += not sealed
        problems += _wrong_decisions(folder, campaign_folder)
    for path in files(campaign_folder, "failures", "runs", "environment"):
        try:
            json.loads(path.read_bytes())
        except ValueError:
            problems.append(f"{path.relative_to(campaign_folder).as_posix()}: no complete JSON")
    notes = [
        f"{unsealed} of {count} results have no checksum, as before protocol {CHECKSUM_SINCE}; not "
        f"determined by raw data, and not checked in them: {NOT_DETERMINED}"
    ]
    return Verdict(f"{count} results", problems, notes if unsealed else [])


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
        try:
            decision = read_decision(path)
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
        made = (decision.metric, decision.values, decision.cycles)
        if (again.metric, again.values, again.cycles) != made:
            yield f"{where}: says {decision.cycles} cycles, the first ones ask for {again.cycles}"


def check_result(folder: Path, name: str, records: Records) -> tuple[list[str], bool]:
    """Check one result: schema, specification, side files, physics, records, raw data, checksum.

    Returns:
        Its problems, and False where it can be read and has no checksum.
    """
    try:
        result = read_planned_result(folder, name)
    except ResultError as error:
        return [str(error).removeprefix(f"{folder / name}: ")], True
    damaged = list(_damaged_side_files(folder, result))
    checks = [contradictions(result), record_differences(records, result), iter(damaged)]
    if not damaged:
        checks.append(differences(folder, result))
    problems = [problem for check in checks for problem in _until_it_breaks(check)]
    if result.checksum is None and result.protocol_version >= CHECKSUM_SINCE:
        problems.append("it has no checksum")
    elif result.checksum not in (None, checksum_of(json.loads((folder / name).read_bytes()))):
        what = "" if problems else "; what was changed is not determined by raw data"
        problems.append(f"it was changed after it was written: its checksum does not fit{what}")
    return problems, result.checksum is not None


def _until_it_breaks(check: Iterator[str]) -> Iterator[str]:
    """Yield what a check finds. A value that was edited may break any formula: that is a problem
    of this result, and stops the check of no other."""
    try:
        yield from check
    except Exception as error:
        yield f"it cannot be checked further: {type(error).__name__}: {error}"


def _damaged_side_files(folder: Path, result: Result) -> Iterator[str]:
    for file in result.side_files.values():
        path = folder / file.path
        if not path.is_file():
            yield f"its {file.path} is not there"
        elif file_sha256(path) != file.sha256:
            yield f"its {file.path} was changed: its sha256 is not the recorded one"
