"""Checks: is every file the one that was shipped, and is every result consistent?"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llm_energy.analysis.decision import decide, read_decision
from llm_energy.analysis.result_checks import contradictions, differences
from llm_energy.inputs.checksums import file_sha256
from llm_energy.results.result import Result, ResultError, read_planned_result, read_result

SUMS = "SHA256SUMS"
"""As `sha256sum --check` takes it: of every file of an archive but itself."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of a check."""

    looked_at: str
    """Number of checked items, such as `12 results`."""
    problems: list[str]
    """One line each."""


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
    problems, count = [], 0
    for folder in (campaign_folder, *sorted(campaign_folder.glob("superseded/*"))):
        anchors = sorted(folder.glob("anchors/*/*/*.json"))
        for path in sorted(folder.glob("measurements/*/*/*.json")) + anchors:
            count += 1
            where = path.relative_to(campaign_folder).as_posix()
            name = path.relative_to(folder).as_posix()
            problems += [f"{where}: {problem}" for problem in problems_of(folder, name)]
        problems += _wrong_decisions(folder, campaign_folder)
    for path in sorted(campaign_folder.glob("failures/**/*.json")) + sorted(
        campaign_folder.glob("runs/*.json")
    ):
        try:
            json.loads(path.read_bytes())
        except ValueError:
            problems.append(f"{path.relative_to(campaign_folder).as_posix()}: no complete JSON")
    return Verdict(f"{count} results", problems)


def _wrong_decisions(folder: Path, campaign_folder: Path) -> Iterator[str]:
    """Decisions on further cycles that do not follow from the first cycles, if these exist."""
    for path in sorted(folder.glob("decisions/*/*/*.json")):
        where = path.relative_to(campaign_folder).as_posix()
        try:
            decision = read_decision(path)
        except ResultError:
            yield f"{where}: cannot be read"
            continue
        first = folder / "measurements" / decision.experiment / decision.spec_hash
        names = [f"cycle-{number:02d}.json" for number in range(1, decision.first + 1)]
        try:
            results = [read_result(first / name) for name in names]
        except ResultError:
            continue  # reported where it is checked itself, or measured again
        again = decide(results, decision.target_relative_half_width)
        made = (decision.metric, decision.values, decision.cycles)
        if (again.metric, again.values, again.cycles) != made:
            yield f"{where}: says {decision.cycles} cycles, the first ones ask for {again.cycles}"


def problems_of(folder: Path, name: str) -> Iterator[str]:
    """Problems of one result: schema, specification hash, side files, physics, raw data."""
    try:
        result = read_planned_result(folder, name)
    except ResultError as error:
        yield str(error).removeprefix(f"{folder / name}: ")
        return
    yield from contradictions(result)
    damaged = list(_damaged_side_files(folder, result))
    yield from damaged
    if not damaged:
        try:
            yield from differences(folder, result)
        except (OSError, ValueError, KeyError, TypeError) as error:
            yield f"its raw data cannot be read: {error}"


def _damaged_side_files(folder: Path, result: Result) -> Iterator[str]:
    for file in result.side_files.values():
        path = folder / file.path
        if not path.is_file():
            yield f"its {file.path} is not there"
        elif file_sha256(path) != file.sha256:
            yield f"its {file.path} was changed: its sha256 is not the recorded one"
