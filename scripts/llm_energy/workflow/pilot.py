"""The findings of a pilot: what will fail in its campaign, and how long that will take.

Its numbers come from short windows and few cycles: they are estimates, marked as such, and no part
of any statistics.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.experiment import PlannedMeasurement
from llm_energy.results import failures
from llm_energy.results.result import Result, ResultError, read_result
from llm_energy.runs.concurrency import SERIAL, Concurrency, Expected
from llm_energy.runs.progress import human_duration
from llm_energy.stats.bisection import most_points
from llm_energy.stats.cycles_needed import PooledSpread, cycles_for, pooled_spread
from llm_energy.workflow.plan import taken_s

TARGET_RELATIVE_HALF_WIDTH = 0.02
"""The precision that cycles are estimated for where the campaign names none."""


def findings(
    campaign: Campaign, pilot: Campaign, results: Path, *, concurrency: Concurrency = SERIAL
) -> list[str]:
    """Return what the pilot found, in lines for people.

    Args:
        results: the pilot's folder.
        concurrency: what is measured of the campaign at the same time.
    """
    measured: dict[str, list[Result]] = {}
    faults = []
    for planned in pilot.schedule:
        try:
            result = read_result(results / planned.result_path)
            measured.setdefault(planned.experiment.name, []).append(result)
        except ResultError:
            faults.append(_fault(planned, results))
    everything = [result for own in measured.values() for result in own]
    lost = Counter(r.experiment for r in everything if r.status == "out_of_memory")
    codes = Counter(flag for r in everything for flag in {flag.code for flag in r.flags})
    lines = [f"Pilot of {campaign.name}: {len(everything)} of {len(pilot.schedule)} measurements"]
    lines += [f"  Out of memory: {name}" for name in lost]
    lines += [f"  Failed: {fault}" for fault in faults]
    lines += [f"  Flag {code}: {count} measurements" for code, count in sorted(codes.items())]
    if everything:
        lines += _estimates(campaign, pilot, measured, concurrency)
    return lines


def visits(campaign: Campaign, measured: Collection[str]) -> dict[str, float]:
    """Return for how many experiments of the campaign each measured one stands: 1, and of a search
    an equal part of the most rates that it visits."""
    found = dict.fromkeys(measured, 1.0)
    for search in campaign.searches:
        own = [name for name in search.names if name in found]
        found.update(dict.fromkeys(own, most_points(len(search.names)) / max(1, len(own))))
    return found


def _fault(planned: PlannedMeasurement, results: Path) -> str:
    name = f"{planned.experiment.name} cycle {planned.cycle}"
    failed = failures.last_failure(results, planned.result_path)
    if failed is None:
        return f"{name}: not measured"
    _, record = failed
    return f"{name}: {failures.reason_of(record)}, see {record}"


def _estimates(
    campaign: Campaign,
    pilot: Campaign,
    measured: Mapping[str, Sequence[Result]],
    concurrency: Concurrency,
) -> list[str]:
    """Spread, cycles and hours, as far as there is something to estimate them from."""
    adaptive = campaign.adaptive
    target = adaptive.target_relative_half_width if adaptive else TARGET_RELATIVE_HALF_WIDTH
    metric, spread = spread_of(measured.values())
    lines = list[str]()
    cycles = [adaptive.first, adaptive.maximum] if adaptive else [campaign.cycles]
    if spread is None:
        lines.append("  Spread between cycles: unknown, no experiment has two values")
    else:
        ends = [cycles_for(end, target) for end in (spread.low, spread.high)]
        if adaptive:
            cycles = [max(adaptive.first, min(n, adaptive.maximum)) for n in ends]
        lines += [
            f"  Spread of {metric} between cycles: {spread.value:.2%} (95 % interval "
            f"{spread.low:.2%} to {spread.high:.2%}, pooled over {spread.experiments} experiments)",
            f"  Cycles for ±{100 * target:g} %: {_range(ends)} (estimate: from short windows, and "
            "without what changes from hour to hour)",
        ]
    times = visits(campaign, measured)
    once = {name: duration_s(campaign, pilot, own) for name, own in measured.items()}
    alone = {experiment.name for experiment in pilot.experiments if experiment.alone}
    every = (
        [
            Expected(cycle, times[name] * ends[end], name in alone)
            for cycle in range(1, cycles[end] + 1)
            for name, ends in once.items()
        ]
        for end in (0, -1)
    )
    low, high = (human_duration(concurrency.lasts_s(expected)) for expected in every)
    hours = low if low == high else f"{low} to {high}"
    if (used := concurrency.used(range(1, cycles[-1] + 1))) > 1:
        hours += f" with {used} allocations at a time"
    lines.append(f"  Expected time for {_range(cycles)} cycles: {hours} (estimate)")
    if absent := len(pilot.experiments) - len(measured):
        lines.append(f"  Without the experiments that have no result: {absent}")
    return lines


def spread_of(measured: Collection[Sequence[Result]]) -> tuple[str, PooledSpread | None]:
    """The metric that has a spread, energy first, and its spread over all experiments."""
    energy = [_known([r.energy.joules_per_output_token for r in own]) for own in measured]
    if spread := pooled_spread(energy):
        return "energy per output token", spread
    throughput = [_known([r.output_tokens_per_second for r in own]) for own in measured]
    return "throughput", pooled_spread(throughput)


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def duration_s(
    campaign: Campaign, pilot: Campaign, measured: Sequence[Result]
) -> tuple[float, float]:
    """Estimate the time of one measurement in the campaign, at least and at most, in s.

    What it took in the pilot, with the longer window and baseline, and at most with all the time
    that the campaign gives a warm-up which the pilot cut short.
    """
    long, short = campaign.measurement, pilot.measurement
    seen = fmean(taken_s(result.started, result.finished) for result in measured)
    if not any(result.window for result in measured):
        return seen, seen  # out of memory: nothing of it becomes longer
    least = seen + long.minimum_duration_s - short.minimum_duration_s
    least += long.baseline_s - short.baseline_s
    warmups = [result.warmup for result in measured if result.warmup]
    capped = any(w.duration_s - w.first_wave_s >= short.warmup_cap_s for w in warmups)
    return least, least + capped * (long.warmup_cap_s - short.warmup_cap_s)


def _range(ends: Sequence[int]) -> str:
    low, high = min(ends), max(ends)
    return str(low) if low == high else f"{low} to {high}"
