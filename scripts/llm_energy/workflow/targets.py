"""Targets of the command line that nothing makes: one line each, with its remedy.

Snakemake names neither those there are nor the nearest, and shows a traceback for a measurement
that is not planned.
"""

import os
import re
import sys
from collections.abc import Collection
from pathlib import Path

from llm_energy.campaign.problems import nearest, unknown
from llm_energy.results.layout import ANCHORS, MEASURED, SPEC
from llm_energy.workflow.opening import Opened
from llm_energy.workflow.requested import Requested
from llm_energy.workflow.snakemake_internals import SnakemakeInternals

PAGE_OF_CAMPAIGNS = re.compile(r"results/([^/+]+(?:\+[^/+]+)+)\.html")
COMPARE = "compare: name its page as the target: results/NAME+NAME.html, with names of campaigns"


def refuse_unknown_targets(
    snakemake: SnakemakeInternals, opened: Opened, requested: Requested
) -> None:
    """End the program where a target before the options is none; whoever submitted this one to a
    cluster has looked."""
    if snakemake.in_allocation:
        return
    targets = _Targets(snakemake, opened, requested)
    words = snakemake.targets(opened.root / "Snakefile")
    if lines := [problem for word in words if (problem := targets.problem(word))]:
        sys.exit("\n".join(lines))


class _Targets:
    def __init__(self, snakemake: SnakemakeInternals, opened: Opened, requested: Requested) -> None:
        self._snakemake = snakemake
        self._campaign = opened.campaign.name
        self._results = opened.results
        self._names: Collection[str] = requested.names.values()
        self._specs: Collection[str] = requested.names
        self._measured = {*requested.planned, *requested.anchors}

    def problem(self, target: str) -> str | None:
        if target in self._snakemake.target_rules:
            return None
        if pattern := self._snakemake.pattern_of(target):
            words = f"{target}: makes many files; name one as the target: {pattern}"
            return COMPARE if target == "compare" else words
        if Path(target).exists():
            return None
        return self._problem_of_path(target) if "/" in target else self._problem_of_name(target)

    def _problem_of_name(self, name: str) -> str:
        known = [*self._snakemake.target_rules, *self._names]
        choices = known if nearest(name, known) else self._snakemake.target_rules
        return f"{name}: {unknown('target', name, choices)}"

    def _problem_of_path(self, target: str) -> str | None:
        path = os.path.relpath(target)
        if self._is_made(path):
            return f"{target}: name it as {path}" if Path(target).is_absolute() else None
        if page := PAGE_OF_CAMPAIGNS.fullmatch(path):
            names = page[1].split("+")
            missing = [name for name in names if not self._has_summary(name)]
            return f"{target}: no summary of {', '.join(missing)}: measure it first"
        known = [*self._snakemake.files, *self._measured]
        ours = not path.startswith("results/") or path.startswith(f"{self._results}/")
        if ours and (near := nearest(path, known)):
            return f"{target}: no target makes this file; did you mean {near}?"
        return (
            f"{target}: no file that campaign `{self._campaign}` makes, whose results lie in "
            f"{self._results}; another campaign is named by --configfile"
        )

    def _is_made(self, path: str) -> bool:
        if page := PAGE_OF_CAMPAIGNS.fullmatch(path):
            return all(map(self._has_summary, page[1].split("+")))
        if any(path.startswith(f"{self._results}/{kind}/") for kind in (MEASURED, ANCHORS)):
            return path in self._measured
        specs = [part for part in Path(path).parts if re.fullmatch(SPEC, part)]
        return self._snakemake.makes(path) and all(spec in self._specs for spec in specs)

    def _has_summary(self, name: str) -> bool:
        return name == self._campaign or Path(f"results/{name}/summary/summary.json").exists()
