"""The planned results of a campaign as they are found; ten thousand of them must fit in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from llm_energy.analysis.summary import Gap
from llm_energy.results.field_names import share_field_names
from llm_energy.results.result import Result, ResultError, read_planned_result

ALIKE = ("spec", "settings", "prompts", "environment")
"""Parts that are equal in most results of an experiment."""


@dataclass(frozen=True)
class PlannedResults:
    found: dict[str, Result] = field(default_factory=dict)
    """By their paths, in planned order."""
    missing: list[Gap] = field(default_factory=list)
    unusable: list[Gap] = field(default_factory=list)


def read_planned(campaign_folder: Path, planned: Sequence[str]) -> PlannedResults:
    """Read every planned result that is there, and account for those that are not."""
    read = PlannedResults()
    earlier: dict[str, Result] = {}
    latest: Result | None = None
    for path in planned:
        if not (campaign_folder / path).exists():
            read.missing.append(Gap(path=path, reason="not measured"))
            continue
        try:
            result = read_planned_result(campaign_folder, path)
        except ResultError as error:
            read.unusable.append(Gap(path=path, reason=str(error)))
            continue
        share(result, earlier.get(result.spec_hash, latest))
        share_field_names(result)
        read.found[path] = earlier[result.spec_hash] = latest = result
    return read


def share(result: Result, earlier: Result | None) -> None:
    """Put parts of an earlier result in place of those of one that was just read, where they are
    equal."""
    equal = {
        name: part
        for name in ALIKE
        if earlier is not None and (part := getattr(earlier, name)) == getattr(result, name)
    }
    vars(result).update(equal)  # a copy would have a second set of all names
