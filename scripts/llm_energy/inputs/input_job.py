"""The common part of jobs that make inputs ready: a recipe, a folder, a marker, two lines."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from llm_energy.inputs.checksums import alone, write_marker
from llm_energy.inputs.recipes import Recipe
from llm_energy.system.cache import READY, read_marker
from llm_energy.system.scripting import rule_script

R = TypeVar("R", bound=Recipe)


@dataclass(frozen=True)
class InputJob(Generic[R]):
    """One job that makes one input ready, by its recipe."""

    name: str
    """Rule and input, for the console."""
    recipe: R
    marker: Path
    root: Path
    """The checkout."""
    log: Path
    planned_s: float
    """When its invocation looked for what is missing, in seconds since the epoch."""

    @property
    def target(self) -> Path:
        """The folder to fill."""
        return self.marker.parent

    @property
    def made_meanwhile(self) -> bool:
        """True where another run has made the same input since this job was planned. That run may
        be using it: nothing is made again."""
        try:
            newer = self.marker.stat().st_mtime > self.planned_s
        except FileNotFoundError:
            return False
        return newer and self.recipe.accepts(read_marker(self.marker))

    def report(self, words: str) -> None:
        print(f"{self.name}: {words}", file=sys.stderr)


Made = tuple[Mapping[str, Any], str]
"""Content of a marker, and what is ready, for the console."""


def input_job(snakemake: Any, kind: type[R], make: Callable[[InputJob[R]], Made]) -> None:
    """Run a rule script's job, alone with its folder; a mistake ends it with one line.

    The marker stays until another one replaces it, since other runs may read it; but where making
    it again fails, what it describes may not be there any more, and it goes.
    """
    with rule_script(snakemake):
        marker, log = Path(snakemake.output[0]), Path(snakemake.log[0])
        job = InputJob(
            name=f"{snakemake.rule} {marker.parent.name}",
            recipe=TypeAdapter(kind).validate_json(snakemake.params.recipe),
            marker=marker,
            root=Path(snakemake.scriptdir).parent,
            log=log,
            planned_s=snakemake.params.planned_s,
        )
        job.report(f"making it ready (log: {log})")
        started_s = time.monotonic()
        with alone(job.target):
            if job.made_meanwhile:
                job.report("another run has made it ready meanwhile")
                return
            try:
                content, summary = make(job)
            except Exception:
                if marker.name == READY:
                    marker.unlink(missing_ok=True)
                raise
            write_marker(marker, content)
            job.report(f"ready after {time.monotonic() - started_s:.0f} s: {summary}")
