"""The planned results of a campaign as they are found; ten thousand of them must fit in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from llm_energy.analysis.summary import Gap
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
        _forget_what_was_given(result)
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


def _forget_what_was_given(model: BaseModel) -> None:
    """Give all models of a class one set for the names of the fields that their files gave.

    Nothing reads it, and a set for each takes as much memory as the numbers.
    """
    names, parts = _fields(type(model))
    object.__setattr__(model, "__pydantic_fields_set__", names)
    for name in parts:
        part = getattr(model, name)
        for one in part if isinstance(part, list) else (part,):
            if one is not None:
                _forget_what_was_given(one)


@cache
def _fields(model: type[BaseModel]) -> tuple[set[str], list[str]]:
    """(names of the fields, those that hold models or lists of them)."""
    fields = model.model_fields
    parts = [name for name, field in fields.items() if _holds_models(field.annotation)]
    return set(fields), parts


def _holds_models(annotation: Any) -> bool:
    kinds = get_args(annotation)
    if get_origin(annotation) is dict:
        return False
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return is_model or any(map(_holds_models, kinds))
