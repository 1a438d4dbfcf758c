"""Checks of one result without other files: its specification, arithmetic, order and physics."""

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise

from llm_energy.analysis.raw_data_checks import PRECISION
from llm_energy.power.plausibility import MEAN_POWER_LIMIT
from llm_energy.results.energy import Energy
from llm_energy.results.parts import Distribution, Window
from llm_energy.results.result import Result
from llm_energy.system.vocabulary import DOCKER, PROCESS

PHASES = {"load", "idle", "warmup", "window", "tail"}
"""Phases of every measurement with a window."""

CLOCKS = timedelta(seconds=1)
"""Two readings of the clocks may be apart by this much, on a machine that is busy."""


def contradictions(result: Result) -> Iterator[str]:
    """Yield a sentence for each pair of values that cannot be true together."""
    yield from _specification(result)
    yield from _times(result)
    yield from _time_of_day(result)
    yield from _outcome(result)
    yield from _latencies(result)
    yield from _host(result)
    if result.energy.energy_joules is not None:
        yield from _energy(result)
    elif not result.energy.reason:
        yield "its energy is missing without a reason"


def _specification(result: Result) -> Iterator[str]:
    if result.spec.get("protocol") != result.protocol_version:
        yield "its protocol_version is not that of its spec"
    resolved, settings = result.settings.resolved, result.spec.get("settings", {})
    if "backend" in result.spec:
        settings = settings | {"backend": result.spec["backend"]["name"]}
    for name, value in settings.items():
        if resolved.get(name) != value:
            yield f"its settings.resolved.{name} is not that of its spec"
    if resolved.get("load_mode") != result.load_mode:
        yield "its load_mode is not that of its settings"
    if resolved.get("prompts") != result.prompts.name:
        yield "its prompts.name is not that of its settings"
    if result.environment.runtime != (DOCKER if result.environment.image_digest else PROCESS):
        yield "its environment.runtime and its environment.image_digest exclude each other"


def _times(result: Result) -> Iterator[str]:
    phases = result.phases
    for phase in phases:
        if phase.end_monotonic_s < phase.start_monotonic_s:
            yield f"its phase {phase.name} ends before it starts"
    if any(later.start_monotonic_s < phase.end_monotonic_s for phase, later in pairwise(phases)):
        yield "its phases are not in the order of their times"
    window = result.window
    if window is None:
        return
    if window.duration_s <= 0:
        yield f"its window lasts {window.duration_s} s"
    if not _close(window.end_monotonic_s - window.start_monotonic_s, window.duration_s):
        yield "its window's end less its start is not its duration"
    spans = {
        phase.name: (phase.start_monotonic_s, phase.end_monotonic_s) for phase in result.phases
    }
    edges = (window.start_monotonic_s, window.end_monotonic_s)
    if not spans.keys() >= PHASES:
        yield f"it lacks the phase {min(PHASES - spans.keys())}"
    if spans.get("window", edges) != edges:
        yield "its phase window is not its window"
    if (warmup := result.warmup) is None:
        return
    if "warmup" in spans and not _close(spans["warmup"][1] - spans["warmup"][0], warmup.duration_s):
        yield "its phase warmup does not last as long as its warm-up"
    if len(warmup.throughput_tokens_per_second) != warmup.waves:
        yield "its warm-up has not one throughput for each wave"
    ends_s = warmup.wave_ends_s
    if ends_s and (len(ends_s) != warmup.waves or not _close(ends_s[0], warmup.first_wave_s)):
        yield "its warm-up has not one end for each wave, or another first wave"


def _time_of_day(result: Result) -> Iterator[str]:
    window = result.window
    written = {"started": result.started, "finished": result.finished}
    if window is not None:
        written |= {"window.start_wall": window.start_wall, "window.end_wall": window.end_wall}
    times = {}
    for name, text in written.items():
        try:
            times[name] = datetime.fromisoformat(text)
        except ValueError:
            yield f"its {name} is no time: {text}"
            continue
        if times[name].utcoffset() != timedelta(0):
            yield f"its {name} is not in UTC: {text}"
            del times[name]
    if times.keys() != written.keys():
        return
    if window is not None:
        yield from _window_of_day(window, times)
    elif times["finished"] < times["started"]:
        yield "it finished before it started"


def _window_of_day(window: Window, times: dict[str, datetime]) -> Iterator[str]:
    order = [times[name] for name in ("started", "window.start_wall", "window.end_wall")]
    order.append(times["finished"])
    if any(later < earlier - CLOCKS for earlier, later in pairwise(order)):
        yield "its start, its window and its end are not in the order of their times"
    lasted = times["window.end_wall"] - times["window.start_wall"]
    if abs(lasted - timedelta(seconds=window.duration_s)) > CLOCKS:
        yield "its window's times of day are not as far apart as its duration"


def _outcome(result: Result) -> Iterator[str]:
    if result.status == "completed":
        yield from _rates(result)
        if result.message is not None:
            yield "it is completed, with the message of an engine whose memory ran out"
    elif result.window is not None or result.tokens is not None or result.latency is not None:
        yield "it ran out of memory, with a window that was measured"


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
    if rate is None or not _close(rate * window.duration_s, tokens.requests):
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


def _host(result: Result) -> Iterator[str]:
    host, tokens = result.energy.host, result.tokens
    if host is None or host.energy_joules is None:
        return
    by_name = {device.device: device.energy_joules for device in result.energy.devices}
    known = [joules for name in host.devices if (joules := by_name.get(name)) is not None]
    if len(known) < len(host.devices):
        yield "its energy with the host is a sum that lacks a device"
    elif not _close(math.fsum(known), host.energy_joules):
        yield "its energy with the host is not the sum of its devices"
    each = host.joules_per_output_token
    if each is not None and tokens and not _close(each * tokens.output, host.energy_joules):
        yield "its energy with the host per output token × their number is not that energy"


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
