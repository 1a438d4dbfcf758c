"""A campaign on a whole cluster, simulated: its time, the load of its head, its files.

    .venv/bin/python benchmarks/cluster.py [--nodes 64] [--gpus 8] [--experiments 100]
        [--cycles 1000] [--measurement 120] [--measure]

Nobody has measured 100,000 times on 512 GPUs, so this is a model: a discrete-event simulation of
the spread over Slurm (docs/slurm.md) with `parallel` in each allocation. One head submits
allocations and works off those that end, one at a time; nodes measure one cycle on each GPU; the
shared file system answers look-ups. What each step costs is in `Costs`, where every number says
what measured it, or that nothing did. A cluster without a queue is assumed.

`--measure` measures those costs again that this machine can give, and prints them beside.
"""

import argparse
import heapq
import itertools
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts"), str(ROOT / "tests/llm_energy")]


@dataclass(frozen=True)
class Cluster:
    """A cluster with a campaign on it."""

    nodes: int
    gpus: int
    """Number on each node; one measurement at a time on each."""
    experiments: int
    cycles: int
    measurement_s: float
    """Phases of one measurement, with its share of loading: an assumption."""

    @property
    def measurements(self) -> int:
        return self.experiments * self.cycles


@dataclass(frozen=True)
class Costs:
    """Durations of single steps; `s` of CPU time where the machine that gave them was busy."""

    planning_s: float = 1.7e-3
    """Snakemake's plan for each measurement: 17.4 s for 10,000 (`scale.py`, dry run, quiet)."""
    comparing_s: float = 1.2e-7
    """`is_pipe_or_service_input` for each pair of a result and a job before it: 12 s for 10,000, of
    `report` and again of `all` (`scale.py`, quiet)."""
    submitting_s: float = 0.0064
    """One `sbatch`, median of 20 with the Slurm of the tests; what Snakemake adds
    was not measured."""
    starting_s: float = 12.0
    """From the submission to the first measurement: 16 s, less the 4 s that every start takes
    (`slurm.py`, no queue)."""
    noticing_s: float = 5.0
    """Half of the 10 s between two looks at the queue, the plugin's default."""
    finishing_s: float = 2e-3
    """The head's work on each result of an allocation that has ended. Assumed, not measured."""
    beside_s: float = 0.57
    """Time of a measurement beside its phases, without fork server: 0.41 s of ours and 0.16 s of
    Snakemake (`overhead.py`)."""
    reading_s: float = 1.4e-5
    """A measuring job reads each entry of its plan, and looks twice for each result on a local
    disk: 11 ms for the 800 of an allocation (`--measure`)."""
    reporting_s: float = 3.8e-3
    """Tables, figures and page for each measurement: 38 s of CPU time for 10,000 (`scale.py`)."""
    reporting_bytes: float = 5.1e4
    """Memory of the same: 511 MB for 10,000."""
    files: float = 5.0
    """Kept for each measurement: result, requests, power series, log, Snakemake's metadata."""
    lookups: float = 40.0
    """Those of a measurement for itself. Assumed, not measured."""
    answers_hz: float = 1e5
    """Look-ups that the file system answers. Assumed, not measured: yours decides."""
    sees_all: bool = False
    """A measuring job reads the plan of all and looks for all results, as it once did, and not
    those of its allocation alone."""


@dataclass
class Server:
    """Serves one customer at a time, in the order in which they come."""

    free_s: float = 0.0
    busy_s: float = 0.0
    longest_wait_s: float = 0.0

    def serve(self, at_s: float, duration_s: float) -> float:
        """Return when a customer who comes at `at_s` is served."""
        begun_s = max(at_s, self.free_s)
        self.longest_wait_s = max(self.longest_wait_s, begun_s - at_s)
        self.free_s = begun_s + duration_s
        self.busy_s += duration_s
        return self.free_s


@dataclass
class Outcome:
    """The end of a simulated campaign."""

    total_s: float = 0.0
    """Until the page is written."""
    planned_s: float = 0.0
    """Before the first allocation was submitted."""
    measured_s: float = 0.0
    """Until the head knew of the last measurement."""
    ideal_s: float = 0.0
    """The phases of all measurements on all GPUs, without anything between them."""
    allocations: int = 0
    head: Server = field(default_factory=Server)
    files: Server = field(default_factory=Server)
    kept_files: int = 0
    report_bytes: float = 0.0

    @property
    def head_share(self) -> float:
        """Share of the time with allocations in which the head worked."""
        return self.head.busy_s / (self.measured_s - self.planned_s)

    @property
    def files_share(self) -> float:
        """The same of the file system."""
        return self.files.busy_s / (self.measured_s - self.planned_s)


class Simulation:
    """One campaign, event by event."""

    def __init__(self, cluster: Cluster, costs: Costs) -> None:
        self._cluster = cluster
        self._costs = costs
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._ids = itertools.count()
        lanes, left = divmod(cluster.cycles, cluster.gpus)
        self._waiting = [cluster.gpus] * lanes + ([left] if left else [])
        """Cycles of each allocation that is not submitted yet."""
        self.outcome = Outcome(allocations=len(self._waiting))

    def run(self) -> Outcome:
        """Simulate it to its end."""
        cluster, costs, found = self._cluster, self._costs, self.outcome
        count = cluster.measurements
        found.planned_s = costs.planning_s * count + 2 * costs.comparing_s * count**2
        found.ideal_s = count * cluster.measurement_s / (cluster.nodes * cluster.gpus)
        for _ in range(min(cluster.nodes, len(self._waiting))):
            self._at(found.planned_s, self._submit)
        now_s = found.planned_s
        while self._events:
            now_s, _, happen = heapq.heappop(self._events)
            happen(now_s)
        found.measured_s = now_s
        found.total_s = now_s + costs.reporting_s * count
        found.report_bytes = costs.reporting_bytes * count
        # Each allocation leaves its own record and one of each of its sets, and its log.
        found.kept_files = round(costs.files * count) + cluster.cycles + 2 * found.allocations
        return found

    def _at(self, time_s: float, happen: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (time_s, next(self._ids), happen))

    def _submit(self, now_s: float) -> None:
        if not self._waiting:
            return
        cycles = self._waiting.pop(0)
        submitted_s = self.outcome.head.serve(now_s, self._costs.submitting_s)
        open_lanes = [cycles]
        for _ in range(cycles):
            begin = self._measuring(cycles, self._cluster.experiments, open_lanes)
            self._at(submitted_s + self._costs.starting_s, begin)

    def _measuring(self, cycles: int, left: int, open_lanes: list[int]) -> Callable[[float], None]:
        """Return the next measurement of a lane, after which `left` - 1 are left."""

        def measure(now_s: float) -> None:
            costs, cluster = self._costs, self._cluster
            seen = cluster.measurements if costs.sees_all else cycles * cluster.experiments
            lookups = costs.lookups + 2 * seen
            answered_s = self.outcome.files.serve(now_s, lookups / costs.answers_hz)
            reading_s = costs.reading_s * seen
            end_s = answered_s + costs.beside_s + reading_s + cluster.measurement_s
            if left > 1:
                self._at(end_s, self._measuring(cycles, left - 1, open_lanes))
                return
            open_lanes[0] -= 1
            if open_lanes[0] == 0:
                results = cycles * cluster.experiments
                self._at(end_s + costs.noticing_s, lambda at_s: self._finish(at_s, results))

        return measure

    def _finish(self, now_s: float, results: int) -> None:
        done_s = self.outcome.head.serve(now_s, self._costs.finishing_s * results)
        self._at(done_s, self._submit)


def simulate(cluster: Cluster, costs: Costs) -> Outcome:
    """Return what becomes of a campaign on a cluster."""
    return Simulation(cluster, costs).run()


def breaks_first(cluster: Cluster, costs: Costs) -> dict[str, float]:
    """Return the growth of a campaign that brings each part to its limit, the first one first.

    The limits: planning takes a tenth of the measuring time, head or file system is busy for half
    of it, the report takes 16 GB.
    """
    found = simulate(cluster, costs)
    measuring_s = found.measured_s - found.planned_s
    times = {
        # Planning grows with the square of the measurements, measuring with their number.
        "planning on the head": 0.1 * measuring_s / found.planned_s,
        "work of the head": 0.5 / found.head_share,
        "look-ups of the file system": 0.5 / found.files_share,
        "memory of the report": 16e9 / found.report_bytes,
    }
    return dict(sorted(times.items(), key=lambda each: each[1]))


def measured_costs() -> dict[str, float]:
    """Measure on this machine what `Costs` has from `--measure`, in s of CPU time."""
    from llm_energy.runs.progress import progress_of
    from llm_energy.runs.run import Run
    from llm_energy.runs.run_parts import write_plan
    from llm_energy.runs.run_records import PlanEntry

    cycles, of_each, rounds = 8, 100, 20
    with tempfile.TemporaryDirectory() as name:
        run = Run(Path(name))
        entries = [
            PlanEntry(f"e{i % of_each}", 1 + i // of_each, i, f"measurements/{i:012d}/1.json", 1.0)
            for i in range(1000 * of_each)
        ]
        write_plan(run, entries, cycles_of_allocation=cycles)
        before_s = time.process_time()
        for _ in range(rounds):
            plan = run.read("plan/1", tuple[PlanEntry, ...])
            for _ in range(2):
                progress_of(run, results=run.folder, whole_plan=plan)
        return {"reading_s": (time.process_time() - before_s) / (rounds * cycles * of_each)}


def describe(cluster: Cluster, costs: Costs) -> None:
    found = simulate(cluster, costs)
    print(
        f"{cluster.measurements} measurements on {cluster.nodes} nodes with {cluster.gpus} GPUs, "
        f"{cluster.measurement_s:g} s each, in {found.allocations} allocations:"
    )
    print(f"  total {found.total_s / 3600:.2f} h, GPUs alone {found.ideal_s / 3600:.2f} h")
    print(
        f"  head: plans {found.planned_s / 60:.1f} min before the first one, then works "
        f"{found.head_share:.2%} of the time (an end waits at most "
        f"{found.head.longest_wait_s:.1f} s)"
    )
    print(
        f"  file system: busy {found.files_share:.1%}, a job waits "
        f"{found.files.longest_wait_s:.2f} s at most; {found.kept_files} files are kept"
    )
    print(f"  report: {found.report_bytes / 1e9:.1f} GB of memory")
    for part, times in breaks_first(cluster, costs).items():
        print(f"  {part}: at its limit with {times:.2g} times as many measurements")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nodes", type=int, default=64)
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--experiments", type=int, default=100)
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--measurement", type=float, default=120.0, help="s, an assumption")
    parser.add_argument("--answers", type=float, default=Costs.answers_hz, help="look-ups/s")
    parser.add_argument("--measure", action="store_true", help="costs again, on this machine")
    given = parser.parse_args()
    for name, value in (measured_costs() if given.measure else {}).items():
        print(f"{name}: {value:.3g} here, {getattr(Costs, name):.3g} in the model")
    for cycles in (given.cycles // 100, given.cycles // 10, given.cycles):
        cluster = Cluster(given.nodes, given.gpus, given.experiments, cycles, given.measurement)
        for sees_all in (True, False):
            print("jobs look for all results" if sees_all else "jobs look for their own results")
            describe(cluster, Costs(answers_hz=given.answers, sees_all=sees_all))


if __name__ == "__main__":
    main()
