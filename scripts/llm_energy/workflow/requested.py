"""The measurements that an invocation may make, as its rules refer to them.

All of them, or as many cycles as each experiment's own spread requests. Paths are those of
Snakemake: relative to the working directory.
"""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from llm_energy.analysis.decision import Decision
from llm_energy.analysis.derived_records import read_record
from llm_energy.analysis.judgement import Judgement
from llm_energy.campaign.experiment import Experiment, PlannedMeasurement
from llm_energy.campaign.rate_search import RateSearch
from llm_energy.results.layout import ANCHORS, MEASURED, Kind, result_pattern
from llm_energy.results.result import ResultError
from llm_energy.stats.bisection import bisect
from llm_energy.workflow.anchors import anchors
from llm_energy.workflow.decisions import (
    decided,
    decision_path,
    first_cycles,
    may_follow,
    requested,
)
from llm_energy.workflow.input_functions import InputFunction, inputs_of, of_wildcards
from llm_energy.workflow.invalid import invalid_results, without_sensor_line
from llm_energy.workflow.opening import Opened
from llm_energy.workflow.rate_searches import judgement_path, standing
from llm_energy.workflow.settled import settled
from llm_energy.workflow.snakemake_internals import JobToRun, SnakemakeInternals

REMEASURE_HINT = "remeasure=true measures again what --forcerun names; add: --forcerun measure"

DECIDING = ("decide", "judge")
"""Rules whose jobs decide what is measured further."""


class Requested:
    """The measurements of an invocation, their order, and the inputs they wait for."""

    def __init__(
        self, opened: Opened, snakemake: SnakemakeInternals, *, remeasure: bool | str
    ) -> None:
        """Args: remeasure: True: what is forced, `invalid`: what is invalid, is measured again."""
        self._campaign, self._results = opened.campaign, opened.results
        self._snakemake = snakemake
        self._hint = REMEASURE_HINT if remeasure is True and not snakemake.in_allocation else None
        folder, schedule = Path(opened.results), opened.campaign.schedule
        self._first = dict.fromkeys(first_cycles(opened.campaign))
        """Those that are measured in any case, in planned order."""
        self.planned = {self._path(planned): planned for planned in schedule}
        """Every measurement of the campaign, by its result."""
        self._results_of: dict[str, list[str]] = {}
        """All results that an experiment may have, by cycle; by the hash of its spec."""
        for path, planned in self.planned.items():
            self._results_of.setdefault(planned.experiment.spec_hash, []).append(path)
        self._elsewhere = opened.elsewhere
        self.names = opened.campaign.names
        """Hash of a spec -> name of the experiment."""
        paths = [planned.result_path for planned in schedule] if remeasure == "invalid" else []
        elsewhere = snakemake.spreads or snakemake.in_allocation
        on_gpu = opened.campaign.measurement.on_gpu
        invalid = invalid_results(folder, paths, on_gpu=on_gpu, elsewhere=elsewhere)
        self._invalid = {f"{self._results}/{path}" for path in invalid.mendable}
        if invalid.without_sensor:
            print(without_sensor_line(invalid.without_sensor, on_gpu=on_gpu), file=sys.stderr)
        try:
            self._cycles = decided(opened.campaign, folder, elsewhere=self._elsewhere)
        except ResultError as error:
            sys.exit(str(error))
        invalid_of = (p.experiment.name for p in schedule if self._path(p) in self._invalid)
        self._again = frozenset(invalid_of)
        """Experiments of which a result is measured again."""
        for planned in self._first:
            if self._path(planned) in self._invalid:
                self._cycles.pop(planned.experiment.name, None)
        self._is_pilot = opened.is_pilot

    def _path(self, planned: PlannedMeasurement) -> str:
        return f"{self._results}/{planned.result_path}"

    # These two look for every result; an allocation of a cluster, whose jobs are named, does not.

    @cached_property
    def _settled(self) -> frozenset[str]:
        older = {f"{self._results}/{path}" for path in self._elsewhere}
        return (settled(Path(self._results), self.planned) | older) - self._invalid

    @cached_property
    def anchors(self) -> dict[str, PlannedMeasurement]:
        """By their results, those that there are and the one that what is missing adds."""
        if self._campaign.reference is None or self._is_pilot:
            return {}
        missing = [
            planned
            for planned in requested(self._campaign, self._cycles)
            if self._path(planned) in self._invalid or not self._is_there(planned.result_path)
        ]
        found = anchors(self._campaign, self._is_there, to_measure=missing)
        return {self._path(anchor): anchor for anchor in found}

    def _is_there(self, path: str) -> bool:
        return path in self._elsewhere or Path(self._results, path).exists()

    def _now_at(self, path: str) -> str:
        """Return where a result lies before the run starts."""
        name = path.removeprefix(f"{self._results}/")
        return f"{self._results}/{self._elsewhere.get(name, name)}"

    def is_requested(self) -> list[str]:
        """The result of every measurement that is requested by the decisions as they stand now,
        relative to the campaign's results folder."""
        known = decided(self._campaign, Path(self._results), elsewhere=self._elsewhere)
        return [planned.result_path for planned in requested(self._campaign, known)]

    # Input functions of rules.

    def measurements(self, checkpoints: Any, name: str | None = None) -> list[InputFunction]:
        """Return the input functions of every target behind the measurements.

        One function for each experiment whose cycles are decided, and for each search: one that
        fails does not stop the others.

        Args:
            name: of the one experiment that is a target.
        """
        own = {e: e for e in self._campaign.experiments if name in (None, e.name)}
        searches = self._campaign.searches
        if name is not None and any(name in search.names for search in searches):
            return [self._all_of([p for p in self.planned.values() if p.experiment in own])]
        first = [planned for planned in self._first if planned.experiment in own]
        further = [self._further(e, checkpoints) for e in own if self._campaign.adaptive]
        if name is None:
            further += [self._searched(search, checkpoints) for search in searches]
        return [self._all_of(first), *further]

    def all_anchors(self, _wildcards: Any) -> list[str]:
        """Return the results of all anchors."""
        return list(self.anchors)

    def _all_of(self, planned: Sequence[PlannedMeasurement]) -> InputFunction:
        def results(_wildcards: Any) -> list[str]:
            # One result where all are there: a target without any input always runs.
            paths = [self._path(one) for one in planned]
            return self._unsettled(paths) or [self._now_at(path) for path in paths[:1]]

        return results

    def _further(self, experiment: Experiment, checkpoints: Any) -> InputFunction:
        adaptive = self._campaign.adaptive
        assert adaptive is not None

        def results(_wildcards: Any) -> list[str]:
            # A decision that stands needs no job: neither age nor lost metadata can undo it.
            if experiment.name in self._cycles and not self._snakemake.forced:
                cycles = self._cycles[experiment.name]
            else:
                made = checkpoints.decide.get(spec=experiment.spec_hash)
                cycles = read_record(Decision, Path(made.output[0])).cycles
            return self._unsettled(self._results_of[experiment.spec_hash][adaptive.first : cycles])

        return results

    def _searched(self, search: RateSearch, checkpoints: Any) -> InputFunction:
        """The measurements of every rate that a search visits, each after the one before it."""
        folder = Path(self._results)

        def good(index: int) -> bool:
            experiment = search.experiments[index]
            known = None
            if not self._snakemake.forced and experiment.name not in self._again:
                known = standing(self._campaign, folder, experiment, elsewhere=self._elsewhere)
            if known is None:
                made = checkpoints.judge.get(spec=experiment.spec_hash)
                known = read_record(Judgement, Path(made.output[0])).good
            return known

        def results(_wildcards: Any) -> list[str]:
            visited = bisect(len(search.experiments), good).visited
            hashes = [search.experiments[index].spec_hash for index in visited]
            return self._unsettled([path for one in hashes for path in self._results_of[one]])

        return results

    def _unsettled(self, results: list[str]) -> list[str]:
        """Leave out what has nothing to do: a job for each of thousands of results costs Snakemake
        more time than the tables, the figures and the report take together."""
        if self._snakemake.forced:
            return results
        if self._hint and self._snakemake.forces_none:
            print(self._hint, file=sys.stderr)
            self._hint = None
        return [path for path in results if path not in self._settled]

    def first_results(self, wildcards: Any) -> list[str]:
        """The results of an experiment's first cycles, which decide how many it needs; of a rate
        that is searched, those of all its cycles."""
        adaptive = self._campaign.adaptive
        paths = self._results_of[wildcards.spec][: adaptive.first if adaptive else None]
        return [self._now_at(path) for path in paths]

    @cached_property
    def before_measuring(self) -> InputFunction:
        """The inputs of a measurement: nothing once its result exists.

        Then no age of anything, and no lost metadata, can make Snakemake measure again.
        """

        @of_wildcards
        def inputs(wildcards: Any) -> list[str]:
            if self._snakemake.in_allocation:
                self._snakemake.keep_going()
            path = self._path_of(MEASURED, wildcards)
            if path in self._invalid:
                self._snakemake.force(path)
            elif os.path.exists(path):  # noqa: PTH110 - there may be ten thousand
                return []
            return inputs_of(self.planned[path].experiment)

        return inputs

    def before_anchor(self, wildcards: Any) -> list[str]:
        """Return the inputs of an anchor: nothing once its result exists."""
        path = self._path_of(ANCHORS, wildcards)
        return [] if Path(path).exists() else inputs_of(self.anchors[path].experiment)

    def _path_of(self, kind: Kind, wildcards: Any) -> str:
        path = result_pattern(kind).format(spec=wildcards.spec, cycle=wildcards.cycle)
        return f"{self._results}/{path}"

    # The order: a priority for each job, the earlier the higher.

    @cached_property
    def priority(self) -> Callable[[Any], int]:
        """That of a measurement, as a function of its wildcards."""

        @of_wildcards
        def priority(wildcards: Any) -> int:
            planned = self.planned[self._path_of(MEASURED, wildcards)]
            return len(self.planned) - planned.position + (planned in self._first)

        return priority

    @property
    def deciding_priority(self) -> int:
        """All decisions come after all first cycles and before any other; those of a search at
        once."""
        if self._campaign.searches:
            return len(self.planned) + 1
        return len(self.planned) - len(self._first) + 1

    @property
    def anchor_priority(self) -> int:
        """An anchor comes before all that it is the anchor of."""
        return len(self.planned) + 2

    @property
    def decision_pattern(self) -> str:
        """Path of a decision, with wildcards."""
        adaptive = self._campaign.adaptive
        path = (
            judgement_path(self._campaign, "{spec}")
            if adaptive is None
            else decision_path(adaptive, "{spec}")
        )
        return f"{self._results}/{path}"

    # What is going to run.

    def to_measure(self, jobs: Iterable[JobToRun]) -> list[PlannedMeasurement]:
        """The measurements and anchors among the jobs of this invocation."""
        known: dict[str, PlannedMeasurement] = self.planned | self.anchors
        return [known[path] for job in jobs for path in job.outputs if path in known]

    def may_follow(
        self, jobs: Iterable[JobToRun], needed: Sequence[PlannedMeasurement]
    ) -> list[PlannedMeasurement]:
        """The measurements that decisions of this invocation may request."""
        undecided = [self.names[job.spec_hash or ""] for job in jobs if job.rule in DECIDING]
        return may_follow(
            self._campaign,
            Path(self._results),
            undecided,
            needed=needed,
            again=self._snakemake.forces("measure"),
        )
