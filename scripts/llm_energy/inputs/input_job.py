"""What the jobs that make inputs ready have in common: a plan, a folder, a marker, two lines."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llm_energy.inputs.checksums import alone, write_marker
from llm_energy.inputs.recipes import Plan
from llm_energy.system.scripting import rule_script


@dataclass(frozen=True)
class InputJob:
    """One job that makes one input ready."""

    name: str
    """Rule and input, for the console."""
    plan: Plan
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
def input_job(snakemake: Any) -> Iterator[InputJob]:
    """The job of a rule script, alone with its folder; mistakes are told in one line."""
    with rule_script(snakemake):
        marker, log = Path(snakemake.output[0]), Path(snakemake.log[0])
        job = InputJob(
            name=f"{snakemake.rule} {marker.parent.name}",
            plan=json.loads(snakemake.params.plan),
            marker=marker,
            root=Path(snakemake.scriptdir).parent,
            log=log,
        )
        job.tell(f"making it ready (log: {log})")
        with alone(job.target):
            yield job
