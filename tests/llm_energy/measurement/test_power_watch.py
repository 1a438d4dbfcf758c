"""The host's verdict on power in a warm-up, on series whose power is known."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from power.made_power import GPU, constant, series_of

from llm_energy.measurement.power_watch import PowerWatch, span_s
from llm_energy.power.meter import State
from llm_energy.power.series import Series
from worker.workload import WarmupRules

RULES = WarmupRules(180.0, 60.0, bound=0.01)


def follow(
    power: Callable[[float], float] | Series, *, wave_s: float, waves: int, span: float = 10.0
) -> tuple[list[tuple[float, bool]], PowerWatch]:
    """Return the messages of equal waves from 0 s on, with their times, and the watch."""
    series = power if isinstance(power, Series) else series_of(power, end=200.0)
    reported: list[tuple[float, bool]] = []
    end_s = 0.0

    def so_far(since_s: float) -> Series:
        readings = tuple(r for r in series.readings if since_s <= r.monotonic_s <= end_s)
        return replace(series, readings=readings)

    watch = PowerWatch(
        [GPU],
        method="counter",
        span_s=span,
        window_s=10.0,
        series=so_far,
        report=lambda value: reported.append((end_s, value)),
        rules=RULES,
    )
    watch.on_event({"event": "phase", "name": "warmup", "t": 0.0})
    for number in range(waves):
        end_s = (number + 1) * wave_s
        watch.on_event({"event": "wave", "t0": end_s - wave_s, "t1": end_s, "tokens": 64})
    return reported, watch


def test_constant_power_is_steady_once_the_time_has_passed():
    reported, watch = follow(constant(500.0), wave_s=0.25, waves=60)
    assert [value for _, value in reported] == [True]
    assert 10.0 <= reported[0][0] <= 13.0
    assert watch.verdict.verdict == "steady"
    assert watch.verdict.bound <= 0.01


def test_a_ramp_is_not_steady_until_it_ends():
    reported, _ = follow(lambda t: min(400.0 + 10.0 * t, 600.0), wave_s=1.0, waves=90)
    assert [value for _, value in reported] == [True]
    assert reported[0][0] >= 20.0 + 5.0


def test_a_verdict_that_no_longer_holds_is_taken_back():
    reported, watch = follow(
        lambda t: 500.0 if t < 20.0 else min(500.0 + 20.0 * (t - 20.0), 700.0), wave_s=1.0, waves=30
    )
    assert [value for _, value in reported] == [True, False]
    assert watch.verdict.verdict == "not_steady"


def test_what_happens_within_a_wave_is_no_drift():
    """Prefill at 700 W for half a second, decode at 300 W for two."""
    reported, _ = follow(lambda t: 700.0 if t % 2.5 < 0.5 else 300.0, wave_s=2.5, waves=20)
    assert [value for _, value in reported] == [True]


def test_long_waves_are_tested_over_at_least_five_of_them():
    reported, _ = follow(constant(500.0), wave_s=8.0, waves=12)
    assert reported[0][0] >= 5 * 8.0


def test_a_device_that_warms_up_is_not_steady():
    series = series_of(constant(500.0), end=200.0)
    warming = tuple(
        replace(r, state=State(temperature_celsius=40.0 + r.monotonic_s // 4.0))
        if number % 10 == 0
        else r
        for number, r in enumerate(series.readings)
    )
    reported, watch = follow(replace(series, readings=warming), wave_s=1.0, waves=40)
    assert reported == []
    assert watch.verdict.verdict == "temperature_changes"
    assert watch.verdict.temperature_range_celsius >= 2.0


def test_too_few_waves_are_no_verdict():
    reported, watch = follow(constant(500.0), wave_s=1.0, waves=8)
    assert reported == []
    assert watch.verdict.verdict == "too_short"


@pytest.mark.parametrize(("cap", "span"), [(180.0, 30.0), (60.0, 10.0), (600.0, 30.0), (5.0, None)])
def test_a_short_cap_tests_a_shorter_time_or_none(cap, span):
    assert span_s(cap) == span
