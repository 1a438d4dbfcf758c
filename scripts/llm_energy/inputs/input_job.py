"""The common part of jobs that make inputs ready: a recipe, a folder, a marker, two lines."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from llm_energy.inputs.checksums import alone, write_marker
from llm_energy.system.scripting import rule_script

R = TypeVar("R")


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
    started: float = field(default_factory=time.monotonic)

    @property
    def target(self) -> Path:
        """The folder to fill."""
        return self.marker.parent

    def finish(self, content: Mapping[str, Any], summary: str) -> None:
        """Write the marker, and say what is ready now."""
        write_marker(self.marker, content)
        self.tell(f"ready after {time.monotonic() - self.started:.0f} s: {summary}")

    def tell(self, words: str) -> None:
        print(f"{self.name}: {words}", file=sys.stderr)


@contextmanager
def input_job(snakemake: Any, kind: type[R]) -> Iterator[InputJob[R]]:
    """Run a rule script's job, alone with its folder; a mistake ends it with one line."""
    with rule_script(snakemake):
        marker, log = Path(snakemake.output[0]), Path(snakemake.log[0])
        job = InputJob(
            name=f"{snakemake.rule} {marker.parent.name}",
            recipe=TypeAdapter(kind).validate_json(snakemake.params.recipe),
            marker=marker,
            root=Path(snakemake.scriptdir).parent,
            log=log,
        )
        job.tell(f"making it ready (log: {log})")
        with alone(job.target):
            yield job
