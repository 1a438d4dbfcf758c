"""Jobs that made the files of an archive, and the steps of the workflow that they belong to."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Step(NamedTuple):
    """A rule of the workflow."""

    script: str
    """Its script, in the archive."""
    description: str
    always: bool
    """True if every campaign has jobs of it."""


def _step(script: str, description: str, *, always: bool = True) -> Step:
    return Step(f"workflow/scripts/{script}.py", description, always)


STEPS = {
    "environment": _step("environment", "Make the environment of an engine: packages or an image"),
    "model": _step("model", "Fetch or find a model"),
    "convert": _step("convert", "Convert a model for an engine", always=False),
    "prompts": _step("prompts", "Fix the token ids of prompts"),
    "anchor": _step("measure", "Measure the reference again in a later session", always=False),
    "measure": _step("measure", "Measure one experiment in one cycle"),
    "decide": _step("decide", "Decide how many cycles an experiment needs", always=False),
    "judge": _step("judge", "Judge a rate that a search visits by the objectives", always=False),
    "report": _step("report", "Make the tables, the figures and the report of all measurements"),
}
"""By rule, in the order in which they run."""

KINDS = {"measurements": "measure", "anchors": "anchor"}
"""Folder of results -> the rule that makes them."""


@dataclass(frozen=True)
class Image:
    """The container image of a job's engine."""

    digest: str
    """`sha256:...` of its configuration: its id on the host."""
    backend: str
    repo_digest: str | None = None
    """`NAME@sha256:...`, if it came from a registry."""
    base: str | None = None
    """Its base image, if it was built on the host."""


@dataclass(frozen=True)
class Job:
    """One job of the workflow; files have their names in the archive."""

    step: str
    """The rule."""
    name: str
    """Unique among the jobs, and the same in every archive of the campaign."""
    description: str
    started: str | None
    """ISO 8601, UTC."""
    ended: str | None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    error: str | None = None
    """Reason of a failure; None where there was none."""
    image: Image | None = None
    energies_joules: Mapping[str, float] = field(default_factory=dict)
    """By key of the result; only measured ones."""


def unrecorded(seen: Iterable[str]) -> Iterator[str]:
    """The steps of every campaign that are not among those of its known jobs, in their order."""
    known = set(seen)
    return (name for name, step in STEPS.items() if step.always and name not in known)
