"""Where a run stands: the one line for each finished measurement, and the time that remains."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from llm_energy.results.open_load import OpenLoad
from llm_energy.results.result import Result
from llm_energy.runs.concurrency import Expected, concurrency_of
from llm_energy.runs.run import Run, utc_now
from llm_energy.runs.run_records import Measuring, PlanEntry
from llm_energy.system.files import read_lines
from llm_energy.system.numbers import number, percent
from llm_energy.system.processes import ProcessId

MEASURING = "measuring"
"""Name of the run's record of the measurement that is going on."""


def note_start(run: Run, *, result: str, attempt: int) -> None:
    """Say what is measured now: this process measures `result`, relative to the results folder."""
    run.write(MEASURING, Measuring(result, attempt, utc_now(), ProcessId.current()))


def note_waiting(run: Run, waits_for: str | None, name: str = "") -> None:
    """Say that the measurement waits, at once on the console and in the record; None: no longer,
    and the measurement starts now.

    Args:
        name: of the measurement, for the console, where several of a run may wait.
    """
    measuring = run.find(MEASURING, Measuring)
    if measuring is not None and measuring.waits_for != waits_for:
        started = utc_now() if waits_for is None else measuring.started
        run.write(MEASURING, replace(measuring, waits_for=waits_for, started=started))
    if waits_for is not None:
        show_line(f"{name} waits for {waits_for}" if name else f"Waiting for {waits_for}")


def show_line(text: str) -> None:
    """Show a line on the console, in one write: measurements of other sets may show theirs."""
    print(f"{text}\n", end="", file=sys.stderr, flush=True)


def note_duration(run: Run, *, experiment: str, duration_s: float) -> None:
    """Remember what a measurement of this run or of an earlier one took, for the estimate of the
    next ones."""
    with (run.folder / "durations.jsonl").open("a") as file:
        file.write(json.dumps([experiment, duration_s]) + "\n")


def estimated_s(
    expected: Mapping[str, float], taken: Iterable[tuple[str, float]]
) -> dict[str, float]:
    """Return the estimated time of one measurement of each experiment, in s.

    The expectation for each experiment, replaced by the mean of what was seen of that experiment,
    and scaled by seen over expected for experiments that were not seen yet.

    Args:
        expected: time of one measurement of each experiment, in s.
        taken: (experiment, duration in s) of each measurement that was made.
    """
    seen: dict[str, list[float]] = {}
    for experiment, duration_s in taken:
        seen.setdefault(experiment, []).append(duration_s)
    planned = sum(expected[name] * len(values) for name, values in seen.items() if name in expected)
    scale = sum(map(sum, seen.values())) / planned if planned else 1.0
    return {
        name: sum(seen[name]) / len(seen[name]) if name in seen else each_s * scale
        for name, each_s in expected.items()
    }


def human_duration(seconds: float) -> str:
    """Seconds as people say them: `0.2 s`, `42 s`, `7 min`, `3 h 05 min`."""
    if 0 < seconds < 1:
        return f"{seconds:.1g} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def describe(result: Result) -> str:
    """Return the headline numbers of one result, each with its unit."""
    if result.status == "out_of_memory":
        return "out of memory (recorded)"
    load = result.open_load
    parts = [_served(load) if load else f"{result.output_tokens_per_second:.1f} tokens/s"]
    first = result.latency.time_to_first_token_s if result.latency else None
    if first is not None:
        slowest = f" (p99 {first.p99 * 1000:.0f} ms)" if load else ""
        parts.append(f"first token {first.p50 * 1000:.0f} ms{slowest}")
    good = load.attained.joules_per_good_request if load and load.attained else None
    if good is not None:
        parts.append(f"{good:.4g} J/good request")
    joules = result.energy.joules_per_output_token
    if joules is not None:
        simulated = " (simulated)" if result.energy.simulated else ""
        parts.append(f"{joules:.4g} J/token{simulated}")
    else:
        parts.append(f"no energy ({result.energy.reason})")
    parts += [flag.code for flag in result.flags]
    return ", ".join(parts)


def _served(load: OpenLoad) -> str:
    """Return how many of the requests that arrived were good, or ended where there are no
    objectives: tokens per second would be those of the arrivals."""
    offered = f"of {number(load.offered_per_second)} requests/s"
    if load.attained is None:
        return f"{number(load.achieved_per_second)} {offered} ended"
    good = number(load.attained.goodput_per_second)
    return f"{good} {offered} good ({percent(load.attained.attainment)})"


def requested(plan: Iterable[PlanEntry], *, results: Path) -> tuple[list[PlanEntry], str | None]:
    """Return what is requested of a plan so far, and of what decisions may request more."""
    known, undecided = list[PlanEntry](), None
    cycles: dict[str, int | None] = {}
    for entry in plan:
        if (name := entry.decision) is None:
            known.append(entry)
            continue
        if entry.searched:
            undecided = "rates"
            known += [entry] * (results / entry.result).parent.exists()
            continue
        if name not in cycles:
            path = results / name
            cycles[name] = json.loads(path.read_bytes())["cycles"] if path.exists() else None
        most = cycles[name]
        undecided = "cycles" if most is None else undecided
        if most is not None and entry.cycle <= most:
            known.append(entry)
    return known, undecided


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    done: int
    """Measurements of the plan that have a result."""
    requested: int
    """Measurements of the plan that are requested so far."""
    left_s: float
    """Estimated time for the others."""
    undecided: str | None
    """`cycles` or `rates`, if decisions may request more of them; else None."""

    def place(self, done: int) -> str:
        """Return `[ 5/12]`."""
        return f"[{done:{len(str(self.requested))}}/{self.requested}]"


def progress_of(run: Run, *, results: Path, whole_plan: Iterable[PlanEntry]) -> Progress:
    """Return how far a run is now, by the results that are there."""
    plan, undecided = requested(whole_plan, results=results)
    # There may be ten thousand after each measurement: a Path for each would take ten times as long
    open_ = [
        entry
        for entry in plan
        if not os.path.exists(f"{results}/{entry.result}")  # noqa: PTH110
    ]
    expected = {entry.experiment: entry.expected_s for entry in plan}
    each_s = estimated_s(expected, read_lines(run.folder / "durations.jsonl"))
    left = (Expected(entry.cycle, each_s[entry.experiment], entry.alone) for entry in open_)
    left_s = concurrency_of(run).lasts_s(left)
    return Progress(len(plan) - len(open_), len(plan), left_s, undecided)


def line(run: Run, result: Result, *, results: Path, whole_plan: Iterable[PlanEntry]) -> str:
    """Return `[ 5/12] experiment cycle 2: 88.1 tokens/s, …; 42 s left`."""
    now = progress_of(run, results=results, whole_plan=whole_plan)
    left = human_duration(now.left_s)
    end = f"{left} left" if now.done < now.requested else "measuring is done"
    if now.undecided:
        end = f"{left} left, and the {now.undecided} that the first ones will ask for"
    return (
        f"{now.place(now.done)} {result.experiment} cycle {result.cycle}: {describe(result)}; {end}"
    )
