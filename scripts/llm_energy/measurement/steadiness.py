"""Steadiness of a window, judged after it, by the waves of its warm-up and its own.

Pure functions of what a result and its side files hold, so that its readers get the same verdicts.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from llm_energy.measurement.window import waves_of
from llm_energy.power.device_account import total
from llm_energy.power.sensor import Method, Sensor
from llm_energy.power.series import Series
from llm_energy.results.energy import Energy
from llm_energy.results.parts import PowerSteadiness, Warmup
from llm_energy.results.result import Result
from llm_energy.system.vocabulary import CLOSED, OPEN, WAVES
from worker.courses import Wave
from worker.open import PIECE_ARRIVALS, PIECE_S
from worker.steady import STEADY, Verdict, judge

RequestRecord = Mapping[str, Any]

MEAN_S = 1.0
"""Power is judged by means over whole waves of together at least so long: pieces of a wave differ
by what the engine does in them (prefill, decode) although nothing drifts."""


def judged(result: Result, requests: Sequence[RequestRecord], series: Series | None) -> Warmup:
    """Return the warm-up of a result with the verdicts on its window.

    Args:
        requests: those of the window.
        series: the power readings; None where nothing was metered.
    """
    warmup, window = result.warmup, result.window
    assert warmup is not None
    assert window is not None
    span = (window.start_monotonic_s, window.end_monotonic_s)
    cap_s = result.spec["measurement"]["warmup_cap_s"]
    waves = [*_of_warmup(result, warmup), *_of_window(result, requests, span)]
    # Arrivals scatter too much for a bound: as a short warm-up, it shows whether a drift was seen.
    cap_s = 0.0 if result.load_mode == OPEN else cap_s
    verdict = judge(waves, window=span, cap_s=cap_s)
    power = warmup.power
    if waves and series is not None and result.energy.energy_joules is not None:
        edges = [waves[0].start_s, *(wave.end_s for wave in waves)]
        means = list(mean_powers(_sensors(result.energy, series), _method(result.energy), edges))
        power = _power(judge(means, window=span, cap_s=cap_s), power)
    return warmup.model_copy(
        update={
            "steady": verdict.verdict == STEADY,
            "verdict": verdict.verdict,
            "coefficient_of_variation": verdict.coefficient_of_variation,
            "trend_interval": verdict.trend_interval,
            "bound": verdict.bound,
            "time_constant_s": verdict.time_constant_s,
            "power": power,
        }
    )


def mean_powers(
    sensors: Sequence[Sensor], method: Method, edges: Sequence[float]
) -> Iterator[Wave]:
    """Yield the energy of all devices between edges of waves at least `MEAN_S` apart."""
    far = list(edges[:1])
    for edge in edges:
        if edge - far[-1] >= MEAN_S:
            far.append(edge)
    for start, end in pairwise(far):
        # None while a device has no reading after the end yet
        joules = total(sensor.energy(method, start, end).joules for sensor in sensors)
        if joules is not None:
            yield Wave(start, end, joules)


def _of_warmup(result: Result, warmup: Warmup) -> Iterator[Wave]:
    """Yield the waves of the warm-up but the first, which may have compiled.

    A result that was edited may lack what there is in any other; then there are fewer.
    """
    starts = [phase.start_monotonic_s for phase in result.phases if phase.name == "warmup"]
    edges = pairwise(starts[0] + end_s for end_s in warmup.wave_ends_s) if starts else ()
    rates, places = warmup.throughput_tokens_per_second[1:], _places(result)
    for number, ((start, end), rate) in enumerate(zip(edges, rates, strict=False), start=1):
        if end > start:
            yield Wave(start, end, rate * (end - start), number % places)


def _of_window(
    result: Result, requests: Sequence[RequestRecord], span: tuple[float, float]
) -> Iterator[Wave]:
    """Yield the waves of the window.

    In load mode `closed` a wave is as many tokens as a wave of the same size would give; in load
    mode `open` it is a piece of time as long as those of the warm-up.
    """
    if result.load_mode == OPEN:
        yield from _pieces(result, requests, span)
        return
    if result.load_mode == CLOSED:
        settings = result.settings.resolved
        tokens, start = settings["batch_size"] * settings["output_tokens"], span[0]
        times = sorted(t for r in requests for t in r["token_times"] if span[0] < t <= span[1])
        for last in times[tokens - 1 :: tokens]:
            yield Wave(start, last, tokens)
            start = last
        return
    yield from waves_of(requests, _places(result))


def _pieces(
    result: Result, requests: Sequence[RequestRecord], span: tuple[float, float]
) -> Iterator[Wave]:
    """Yield the tokens of equal pieces of a window of load mode `open`, with energy enough each."""
    load = result.open_load
    rate = load.offered_per_second if load else 0.0
    piece_s = max(PIECE_S, PIECE_ARRIVALS / rate if rate else span[1] - span[0])
    count = max(1, int((span[1] - span[0]) / piece_s))
    edges = [span[0] + (span[1] - span[0]) * piece / count for piece in range(count + 1)]
    times = sorted(t for r in requests for t in r["token_times"])
    for start, end in pairwise(edges):
        yield Wave(start, end, bisect_right(times, end) - bisect_right(times, start))


def _places(result: Result) -> int:
    """Return after how many waves the same prompts come again; 1 where tokens flow evenly."""
    if result.load_mode != WAVES:
        return 1
    return max(1, result.prompts.count // int(result.settings.resolved["batch_size"]))


def _sensors(energy: Energy, series: Series) -> list[Sensor]:
    counted = {device.device for device in energy.devices if device.counted}
    return [Sensor(device, series) for device in series.devices if device.id in counted]


def _method(energy: Energy) -> Method:
    return energy.method  # type: ignore[return-value]


def _power(verdict: Verdict, watched: PowerSteadiness | None) -> PowerSteadiness:
    """Return the verdict on power, with the temperature that was watched in the warm-up."""
    return PowerSteadiness(
        verdict=verdict.verdict,
        trend_interval=verdict.trend_interval,
        bound=verdict.bound,
        time_constant_s=verdict.time_constant_s,
        span_s=watched.span_s if watched else None,
        temperature_range_celsius=watched.temperature_range_celsius if watched else None,
    )
