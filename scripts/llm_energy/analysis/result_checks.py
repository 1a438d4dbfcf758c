"""Checks of one result: its arithmetic, order and physics, and its numbers from its raw data."""

import math
from collections.abc import Iterator
from pathlib import Path

from llm_energy.measurement.window import tokens as tokens_within
from llm_energy.power.accounting import account_energy, unsampled
from llm_energy.power.plausibility import MEAN_POWER_LIMIT
from llm_energy.power.series_file import read_series
from llm_energy.results.codes import SAMPLER_OFF
from llm_energy.results.energy import Energy
from llm_energy.results.parts import Distribution
from llm_energy.results.result import Result
from llm_energy.results.side_files import read_requests

PRECISION = 1e-6
"""Relative difference above which two ways to the same number contradict each other: far above the
rounding of arithmetic, far below what any number here is known to."""


def contradictions(result: Result) -> Iterator[str]:
    """Yield a sentence for each pair of numbers that cannot be true together."""
    yield from _times(result)
    if result.status == "completed":
        yield from _rates(result)
    yield from _latencies(result)
    if result.energy.energy_joules is not None:
        yield from _energy(result)
    elif not result.energy.reason:
        yield "its energy is missing without a reason"


def differences(folder: Path, result: Result) -> Iterator[str]:
    """Yield a sentence for each number that differs from what its raw data give.

    Args:
        folder: the campaign's results folder; the side files are whole (see `verify.py`).
    """
    if result.window is None:
        return
    if "requests" in result.side_files:
        requests, lengths = read_requests(folder / result.side_files["requests"].path)
        start_s, end_s = result.window.start_monotonic_s, result.window.end_monotonic_s
        counted = tokens_within(requests, input_lengths=lengths, start=start_s, end=end_s)
        if counted != result.tokens:
            yield f"its requests give {counted!r}, it records {result.tokens!r}"
    energy = result.energy
    if "series" in result.side_files and energy.method is not None:
        again = account_energy(
            read_series(folder / result.side_files["series"].path),
            result.phases,
            result.tokens,
            scope=energy.scope,  # type: ignore[arg-type]
            gpus=result.environment.device_uuids or None,
            method=energy.method,  # type: ignore[arg-type]
        ).energy
        if energy.reason == SAMPLER_OFF:
            again = unsampled(again)
        if again.reason != energy.reason or not _equal(again.energy_joules, energy.energy_joules):
            found, stated = (
                f"no energy ({each.reason})"
                if each.energy_joules is None
                else f"{each.energy_joules:.9g} J"
                for each in (again, energy)
            )
            yield f"its power series gives {found}, it records {stated}"


def _times(result: Result) -> Iterator[str]:
    for phase in result.phases:
        if phase.end_monotonic_s < phase.start_monotonic_s:
            yield f"its phase {phase.name} ends before it starts"
    starts = [phase.start_monotonic_s for phase in result.phases]
    if starts != sorted(starts):
        yield "its phases are not in the order of their times"
    window = result.window
    if window is None:
        return
    if window.duration_s <= 0:
        yield f"its window lasts {window.duration_s} s"
    if not _close(window.end_monotonic_s - window.start_monotonic_s, window.duration_s):
        yield "its window's end less its start is not its duration"


def _rates(result: Result) -> Iterator[str]:
    window, tokens = result.window, result.tokens
    if window is None or tokens is None or result.output_tokens_per_second is None:
        yield "it is completed, without a window, its tokens or its throughput"
        return
    if tokens.output <= 0 or min(tokens.input, tokens.requests) < 0:
        yield "it counts no output tokens"
    if not _close(result.output_tokens_per_second * window.duration_s, tokens.output):
        yield "its throughput × duration is not its count of output tokens"
    rate = result.requests_per_second
    if rate is not None and not _close(rate * window.duration_s, tokens.requests):
        yield "its request rate × duration is not its count of requests"


def _latencies(result: Result) -> Iterator[str]:
    for name, found in result.latency or ():
        if isinstance(found, Distribution):
            order = (found.minimum, found.p50, found.p90, found.p95, found.p99, found.maximum)
            if list(order) != sorted(order) or found.minimum < 0:
                yield f"the percentiles of its {name} are not in order"
            if not found.minimum * (1 - PRECISION) <= found.mean <= found.maximum * (1 + PRECISION):
                yield f"the mean of its {name} lies outside of its range"


def _energy(result: Result) -> Iterator[str]:
    energy, tokens, window = result.energy, result.tokens, result.window
    joules = energy.energy_joules
    if joules is None or tokens is None or window is None:
        yield "it has an energy without a window"
        return
    if joules <= 0:
        yield f"its energy is {joules} J"
    per = {
        "output token": (energy.joules_per_output_token, tokens.output),
        "token": (energy.joules_per_token, tokens.input + tokens.output),
        "request": (energy.joules_per_request, tokens.requests),
    }
    for name, (each, count) in per.items():
        if each is not None and not _close(each * count, joules):
            yield f"its energy per {name} × their number is not its energy"
    counted = [device.energy_joules for device in energy.devices if device.counted]
    if None in counted:
        yield "its energy is a sum that lacks a device"
    elif not _close(math.fsum(value for value in counted if value is not None), joules):
        yield "its energy is not the sum of its devices"
    yield from _power(result, energy, joules / window.duration_s)


def _power(result: Result, energy: Energy, mean_watts: float) -> Iterator[str]:
    if energy.mean_power_watts is not None and not _close(energy.mean_power_watts, mean_watts):
        yield "its mean power × duration is not its energy"
    idle, net = energy.loaded_idle_power_watts, energy.energy_above_loaded_idle_joules
    if idle is not None and net is not None and result.window is not None:
        expected = (mean_watts - idle) * result.window.duration_s
        if abs(net - expected) > PRECISION * max(abs(net), energy.energy_joules or 0):
            yield "its energy above loaded idle is not energy less idle power × duration"
    limit = energy.enforced_limit_watts(result.environment.power_limit_watts)
    if limit is not None and mean_watts > MEAN_POWER_LIMIT * limit:
        yield f"its mean power of {mean_watts:.1f} W is above the limit of {limit:.1f} W"


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=PRECISION)


def _equal(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return _close(one, other)
