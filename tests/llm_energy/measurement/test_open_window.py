"""Open loads on an engine in virtual time, whose numbers can be worked out."""

import math
from typing import Any

import pytest
from tests.llm_energy.power.made_power import GPU, reading
from tests.worker.open_loads import Clock, VirtualEngine, run_open
from tests.worker.virtual_engine import virtual_clock

from llm_energy.measurement import open_requests, window
from llm_energy.measurement.open_queue import idle_spans
from llm_energy.measurement.open_window import flags, open_load
from llm_energy.power.accounting import account_energy
from llm_energy.power.series import Series
from llm_energy.results.open_load import SATURATED, STABLE, UNDECIDED, Objectives, OpenLoad
from llm_energy.results.parts import Latency, Phase
from worker.arrivals import ArrivalRecipe

__all__ = ["virtual_clock"]

Report = dict[str, Any]


def span_of(report: Report) -> tuple[float, float]:
    return report["window"]["start"], report["window"]["end"]


def numbers(report: Report, objectives: Objectives | None = None, **known: Any) -> OpenLoad:
    return open_load(
        report["requests"],
        span_of(report),
        objectives=objectives,
        **({"joules": None, "idle_joules": None} | known),
    )


def latency(report: Report) -> Latency:
    start, end = span_of(report)
    return open_requests.latency(report["requests"], start=start, end=end)


def codes(report: Report, recipe: ArrivalRecipe) -> set[str]:
    start, end = span_of(report)
    found = flags(numbers(report), latency(report), duration_s=end - start, recipe=recipe)
    return {flag.code for flag in found}


def test_a_stall_is_seen_by_all_who_arrive_in_it(virtual_clock: Clock) -> None:
    """Without coordinated omission: the quantile p is ttft + S - (1 - p) T for p > 1 - S / T."""
    engine = VirtualEngine(
        virtual_clock, slots=10_000, prefill_s=0.05, token_s=0.01, stall=(3.0, 5.0)
    )
    recipe = ArrivalRecipe("constant", 500.0)
    report = run_open(engine, recipe, output_tokens=2, duration_s=8.0)
    first = latency(report).time_to_first_token_s
    assert first is not None
    assert first.count == pytest.approx(4000, abs=1)
    assert first.p50 == pytest.approx(0.05, abs=0.001)
    assert first.p90 == pytest.approx(0.05 + 2.0 - 0.1 * 8.0, abs=0.01)
    assert first.p99 == pytest.approx(0.05 + 2.0 - 0.01 * 8.0, abs=0.01)
    # They were submitted in time: the client does not wait with the engine.
    assert numbers(report).lateness.maximum_s < 0.001


EIGHT_SLOTS = {"slots": 8, "prefill_s": 0.05, "token_s": 0.02}
"""16 tokens take 0.35 s: a capacity of 22.9 requests per second."""


def test_a_rate_below_capacity_is_stable(virtual_clock: Clock) -> None:
    recipe = ArrivalRecipe("poisson", 18.0, seed=1)
    report = run_open(VirtualEngine(virtual_clock, **EIGHT_SLOTS), recipe)
    load = numbers(report)
    assert load.saturation == STABLE
    assert load.achieved_per_second == pytest.approx(load.offered_per_second, rel=0.03)
    assert load.completed == load.arrivals
    assert load.batch_size_maximum <= 8
    # Little's law: the requests in service are rate times service time.
    assert load.in_flight_mean >= load.achieved_per_second * 0.35 * 0.98
    assert codes(report, recipe).isdisjoint({"saturated", "client_late", "rate_off"})


def test_a_rate_above_capacity_is_saturated(virtual_clock: Clock) -> None:
    """At 30 of 22.9 requests per second, in flight grows by 7.1 a second: in 8 s from 10 to 66."""
    recipe = ArrivalRecipe("constant", 30.0)
    engine = VirtualEngine(virtual_clock, **EIGHT_SLOTS)
    report = run_open(engine, recipe, duration_s=8.0, cap_s=0.0)
    load = numbers(report)
    assert load.saturation == SATURATED
    growth = engine.in_flight_at[7] - engine.in_flight_at[0]
    assert growth == pytest.approx(7 * (30.0 - 8 / 0.35), abs=3)
    assert engine.in_flight_at[7] == pytest.approx(66, abs=6)
    assert load.achieved_per_second == pytest.approx(8 / 0.35, rel=0.06)
    assert load.completed == load.arrivals  # followed to their end after the window
    assert "saturated" in codes(report, recipe)


@pytest.mark.parametrize("utilisation", [0.5, 0.8])
def test_waiting_times_are_those_of_theory(virtual_clock: Clock, utilisation: float) -> None:
    """M/D/1: the mean wait in the queue is s·ρ / (2 (1 - ρ)), by Pollaczek and Khinchine."""
    service_s = 0.1
    waits = []
    for cycle in range(1, 21):
        engine = VirtualEngine(virtual_clock, slots=1, prefill_s=service_s, token_s=0.0)
        recipe = ArrivalRecipe("poisson", utilisation / service_s, cycle=cycle)
        report = run_open(engine, recipe, output_tokens=1, duration_s=300.0, cap_s=30.0)
        first = latency(report).time_to_first_token_s
        assert first is not None
        waits.append(first.mean - service_s)
        assert numbers(report).excess <= 3.0 * math.sqrt(numbers(report).arrivals)
    mean = sum(waits) / len(waits)
    error = math.sqrt(sum((w - mean) ** 2 for w in waits) / (len(waits) - 1) / len(waits))
    expected = service_s * utilisation / (2.0 * (1.0 - utilisation))
    assert abs(mean - expected) <= 2.093 * error  # 95 % of Student's t with 19 degrees
    assert 2.093 * error < 0.2 * expected  # an interval that says something


def test_ramp_and_drain_are_no_part_of_the_rate(virtual_clock: Clock) -> None:
    """A client that counts from the first submission to the last token would see 0.85 of it."""
    engine = VirtualEngine(virtual_clock, slots=1000, prefill_s=0.1, token_s=0.1)
    recipe = ArrivalRecipe("constant", 10.0)
    report = run_open(engine, recipe, output_tokens=26, duration_s=15.0, cap_s=1.0)
    start, end = span_of(report)
    tokens = window.tokens(report["requests"], input_lengths=[3, 2, 4], start=start, end=end)
    assert tokens.output / (end - start) == pytest.approx(260.0, rel=0.02)
    assert tokens.requests / (end - start) == pytest.approx(10.0, rel=0.02)


def test_failed_and_cut_requests_are_not_good(virtual_clock: Clock) -> None:
    engine = VirtualEngine(
        virtual_clock,
        slots=100,
        prefill_s=0.05,
        token_s=0.01,
        fails=lambda number: number % 10 == 0,
        cuts=lambda number: number % 10 == 5,
    )
    recipe = ArrivalRecipe("constant", 20.0)
    report = run_open(engine, recipe, output_tokens=8, duration_s=30.0)
    load = numbers(report, Objectives(end_to_end_s=10.0), joules=1000.0, idle_joules=0.0)
    assert load.arrivals == pytest.approx(600, abs=1)
    assert (load.failed, load.cut) == (pytest.approx(60, abs=1), pytest.approx(60, abs=1))
    assert load.attained is not None
    assert load.attained.good == load.completed == load.arrivals - load.failed - load.cut
    assert load.attained.attainment == pytest.approx(0.8, abs=0.005)
    assert load.attained.joules_per_good_request == 1000.0 / load.attained.good
    whole = latency(report).end_to_end_s
    assert whole is not None
    assert whole.count == load.completed
    assert "requests_failed" in codes(report, recipe)


def test_an_objective_that_is_met_exactly_is_kept() -> None:
    request = {
        "scheduled": 10.0,
        "submitted": 10.1,
        "token_times": [10.5, 11.0, 11.5],
        "requested": 3,
        "ended": 11.5,
        "fault": None,
    }
    exact = Objectives(time_to_first_token_s=0.5, inter_token_latency_s=0.5, end_to_end_s=1.5)
    assert open_requests.is_good(request, exact)
    for name in ("time_to_first_token_s", "inter_token_latency_s", "end_to_end_s"):
        limit = getattr(exact, name)
        shorter = exact.model_copy(update={name: limit - 1e-9})
        assert not open_requests.is_good(request, shorter)
    assert not open_requests.is_good({**request, "ended": None}, exact)
    assert not open_requests.is_good({**request, "requested": 4}, exact)


def test_a_rare_request_leaves_the_device_idle(virtual_clock: Clock) -> None:
    """One request in 10 s: joules per token grow towards idle power × gap."""
    engine = VirtualEngine(virtual_clock, slots=8, prefill_s=0.1, token_s=0.01)
    recipe = ArrivalRecipe("constant", 0.1)
    report = run_open(engine, recipe, output_tokens=11, duration_s=300.0)
    start, end = span_of(report)
    idle = idle_spans(report["requests"], (start, end))
    load = numbers(report, joules=50.0 * 300.0, idle_joules=50.0 * sum(b - a for a, b in idle))
    assert load.arrivals == 30
    assert load.idle_share == pytest.approx(1.0 - 0.2 / 10.0, abs=0.002)
    assert load.idle_energy_share == pytest.approx(load.idle_share)
    tokens = window.tokens(report["requests"], input_lengths=[3, 2, 4], start=start, end=end)
    assert 50.0 * 300.0 / tokens.output == pytest.approx(50.0 * 10.0 / 11, rel=0.04)
    assert load.batch_size_mean == pytest.approx(1.0)


def test_a_client_that_stops_is_late_and_latencies_grow(virtual_clock: Clock) -> None:
    recipe = ArrivalRecipe("poisson", 20.0, seed=3)
    plain = run_open(VirtualEngine(virtual_clock, **EIGHT_SLOTS), recipe, duration_s=10.0)
    stops = VirtualEngine(virtual_clock, **EIGHT_SLOTS, client_stop=(4.0, 5.0))
    stopped = run_open(stops, recipe, duration_s=10.0)
    assert "client_late" in codes(stopped, recipe) - codes(plain, recipe)
    assert numbers(stopped).lateness.maximum_s == pytest.approx(1.0, abs=0.2)
    first, without = (latency(r).time_to_first_token_s for r in (stopped, plain))
    assert first is not None
    assert without is not None
    assert first.p95 > without.p95 + 0.5
    from_submission = numbers(stopped).time_to_first_token_from_submission_s
    assert from_submission is not None
    assert from_submission.p95 < first.p95


def test_few_arrivals_decide_nothing(virtual_clock: Clock) -> None:
    engine = VirtualEngine(virtual_clock, **EIGHT_SLOTS)
    report = run_open(engine, ArrivalRecipe("constant", 1.0), duration_s=20.0)
    assert numbers(report).saturation == UNDECIDED


def test_all_configurations_get_the_schedule_of_the_cycle(virtual_clock: Clock) -> None:
    def schedule_of(engine: VirtualEngine, **changes: Any) -> str:
        recipe = ArrivalRecipe(**({"process": "poisson", "rate": 5.0, "cycle": 2} | changes))
        return numbers(run_open(engine, recipe, duration_s=20.0)).schedule_sha256

    fast = VirtualEngine(virtual_clock, slots=8, prefill_s=0.01, token_s=0.001)
    slow = VirtualEngine(virtual_clock, slots=8, prefill_s=0.2, token_s=0.05)
    assert schedule_of(fast) == schedule_of(slow)
    assert len({schedule_of(fast), schedule_of(fast, cycle=3), schedule_of(fast, seed=1)}) == 3


def test_energy_of_bursts_and_gaps_is_that_of_the_device(virtual_clock: Clock) -> None:
    """600 W while a request is in flight and 100 W in between, read at 50 Hz."""
    engine = VirtualEngine(virtual_clock, slots=8, prefill_s=0.1, token_s=0.1)
    recipe = ArrivalRecipe("gamma", 1.0, burstiness=0.25, seed=5)
    report = run_open(engine, recipe, output_tokens=8, duration_s=60.0)
    start, end = span_of(report)
    idle = idle_spans(report["requests"], (start, end))
    assert len(idle) > 5

    def idle_s_until(moment: float) -> float:
        return sum(max(0.0, min(b, moment) - a) for a, b in idle)

    readings = []
    for number in range(round(50 * (end - start + 2.0))):
        moment = start - 1.0 + number / 50
        joules = 600.0 * (moment - start) - 500.0 * idle_s_until(moment)
        at_rest = any(a <= moment < b for a, b in idle)
        readings.append(
            reading(
                moment,
                device=GPU.id,
                energy_counter_joules=1e4 + joules,
                instant_power_watts=100.0 if at_rest else 600.0,
                unavailable={"average_power_watts": "not_supported"},
            )
        )
    series = Series((GPU,), tuple(readings), 50.0)
    window_only = [Phase(name="window", start_monotonic_s=start, end_monotonic_s=end)]
    tokens = window.tokens(report["requests"], input_lengths=[3, 2, 4], start=start, end=end)
    idle_s = idle_s_until(end)
    for method in ("counter", "integrated_instant"):
        account = account_energy(series, window_only, tokens, method=method, parts=idle)
        energy = account.energy.energy_joules
        assert energy == pytest.approx(600.0 * 60.0 - 500.0 * idle_s, rel=0.01)
        assert account.parts_joules == pytest.approx(100.0 * idle_s, rel=0.05)
        load = numbers(
            report, Objectives(end_to_end_s=60.0), joules=energy, idle_joules=account.parts_joules
        )
        assert load.attained is not None
        assert load.attained.joules_per_good_request == energy / load.attained.good
        assert load.idle_energy_share == pytest.approx(100.0 * idle_s / energy, rel=0.05)
