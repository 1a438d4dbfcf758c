"""Conditions that a measurement waits for."""

import random
from collections.abc import Callable
from dataclasses import replace
from math import exp, hypot

import pytest
from tests.llm_energy.power.made_power import GPU, constant, reading, series_of

from llm_energy.power.gates import (
    COOL_MARGIN_CELSIUS,
    QUIET_UNCERTAINTIES,
    cool,
    quiet,
    temperatures,
)
from llm_energy.power.meter import Stamp, State
from llm_energy.power.sensor import Method, Sensor
from llm_energy.power.series import Series


def with_states(series: Series, *states: State) -> Series:
    """The series with these states, in turn, in its last readings: one for each second."""
    readings = list(series.readings)
    for number, state in enumerate(reversed(states)):
        place = len(readings) - 1 - round(number * series.rate_hz)
        readings[place] = replace(readings[place], state=state)
    return replace(series, readings=tuple(readings))


def at_rest(
    series: Series, *, start_s: float = 0.0, method: Method = "counter", **options: float
) -> bool:
    return quiet(series, [GPU], method=method, start_s=start_s, **({"span_s": 3.0} | options))


def scattering(chance: random.Random, mean_watts: Callable[[float], float]) -> Series:
    """Power that scatters by 6 W; samples depend on the ones before (autocorrelation 0.9)."""
    value, watts = chance.gauss(0.0, 6.0), []
    for _ in range(302):
        value = 0.9 * value + chance.gauss(0.0, 6.0 * (1 - 0.9**2) ** 0.5)
        watts.append(value)
    return series_of(lambda t: mean_watts(t) + watts[round(10 * t)])


class TestCool:
    def test_up_to_the_margin_above_the_first_idle(self):
        series = with_states(series_of(constant(100.0)), State(temperature_celsius=45.0))
        assert temperatures(series) == {GPU.id: 45.0}
        assert cool(series, {GPU.id: 45.0 - COOL_MARGIN_CELSIUS})
        assert not cool(series, {GPU.id: 44.0 - COOL_MARGIN_CELSIUS})

    def test_only_the_last_temperature_counts(self):
        states = [State(temperature_celsius=80.0), State(temperature_celsius=41.0)]
        assert cool(with_states(series_of(constant(100.0)), *states), {GPU.id: 40.0})

    def test_a_device_that_does_not_say_is_not_waited_for(self):
        assert cool(series_of(constant(100.0)), {GPU.id: 40.0})


class TestQuiet:
    def test_constant_power_without_work_is_rest(self):
        idle = State(utilisation_percent=0.0, performance_state=8)
        assert at_rest(with_states(series_of(constant(100.0)), idle, idle, idle))

    def test_the_whole_time_must_have_passed(self):
        assert not at_rest(series_of(constant(100.0), end=30.0), start_s=28.0)

    @pytest.mark.parametrize(
        "states",
        [
            [State(utilisation_percent=90.0)],
            [State(performance_state=0), State(performance_state=8)],
        ],
        ids=["work", "a performance state that changes"],
    )
    def test_what_the_device_still_does(self, states):
        assert not at_rest(with_states(series_of(constant(100.0)), *states))

    def test_power_that_still_falls(self):
        assert not at_rest(series_of(lambda t: 100.0 + 10.0 * (30.0 - t)))
        assert at_rest(series_of(lambda t: 100.0 + 0.3 * (30.0 - t)))

    def test_power_that_still_falls_is_seen_whatever_the_pass_reads_last(self):
        falling = series_of(lambda t: 100.0 + 10.0 * (30.0 - t))
        readings = tuple(
            replace(
                each,
                read_s=0.04,
                stamps={"energy_counter_joules": Stamp(each.monotonic_s - 0.015, 0.01)},
            )
            for each in falling.readings
        )
        assert not at_rest(replace(falling, readings=readings))

    def test_a_counter_that_hardly_moves_says_nothing(self):
        assert at_rest(series_of(constant(100.0), counter_gain=0.0))

    def test_a_gap_in_the_samples_is_no_rest(self):
        still = series_of(constant(100.0))
        gap = tuple(r for r in still.readings if not 28.0 < r.monotonic_s < 29.0)
        assert at_rest(still, method="integrated_instant")
        assert not at_rest(replace(still, readings=gap), method="integrated_instant")

    @pytest.mark.parametrize("gap", [(27.2, 28.2), (28.8, 29.6)])
    def test_a_gap_in_one_half_is_no_rest_either(self, gap):
        whole = series_of(constant(100.0))
        kept = tuple(r for r in whole.readings if not gap[0] < r.monotonic_s < gap[1])
        assert not at_rest(replace(whole, readings=kept), method="integrated_instant")

    def test_a_device_that_does_not_report_its_power_rests_for_the_same_time(self):
        readings = tuple(reading(n / 10, state=State()) for n in range(301))
        series = Series((GPU,), readings, 10.0)
        assert at_rest(series, start_s=27.0)
        assert not at_rest(series, start_s=27.1)

    def test_a_utilisation_of_five_percent_is_rest(self):
        for percent, rests in ((5.0, True), (6.0, False)):
            state = State(utilisation_percent=percent)
            assert at_rest(with_states(series_of(constant(100.0)), state)) == rests

    def test_power_may_change_by_two_percent(self):
        for watts, rests in ((509.9, True), (510.1, False)):
            step = series_of(lambda t, high=watts: 500.0 if t < 28.55 else high)
            assert at_rest(step) == rests

    @pytest.mark.parametrize("uncertainties", [0.0, 1e-9])
    def test_a_change_that_equals_the_limit_is_rest(self, uncertainties):
        step = series_of(lambda t: 64.0 if t <= 28.0 else 66.0, rate=2.0)
        assert at_rest(step, span_s=4.0, uncertainties=uncertainties)

    def test_unless_requested_no_change_is_taken_for_scatter(self):
        rough = series_of(lambda t: (40.0 if t < 28.55 else 43.0) + 30.0 * (-1) ** round(10 * t))
        assert at_rest(rough, uncertainties=1.0)
        assert not at_rest(rough)

    @pytest.mark.parametrize(
        ("span_s", "middle_s", "scatter_watts"), [(5.0, 27.5, 8.0**0.5), (3.0, 28.5, 0.0)]
    )
    def test_a_change_is_uncertain_by_edges_and_scatter_of_both_halves(
        self, span_s, middle_s, scatter_watts
    ):
        """Read once a second: -2, 4, -2 W around their line in three samples, none in two."""
        uneven = series_of(
            lambda t: (100.0 if t < middle_s else 110.0) + 6.0 * (round(t) % 2 == 0), rate=1.0
        )
        half_s = span_s / 2
        first, second = (
            Sensor(GPU, uneven).energy("counter", start_s, start_s + half_s)
            for start_s in (middle_s - half_s, middle_s)
        )
        edges_watts = [amount.edge_uncertainty_joules / half_s for amount in (first, second)]
        uncertainty_watts = hypot(*edges_watts, scatter_watts, scatter_watts)
        change = abs(second.joules - first.joules) / half_s / uncertainty_watts
        assert change > 0.0
        assert at_rest(uneven, span_s=span_s, uncertainties=1.001 * change)
        assert not at_rest(uneven, span_s=span_s, uncertainties=0.999 * change)

    def test_two_samples_show_no_scatter(self):
        """A counter that is read once a second and steps by 4 W in the middle of 4 s."""
        package = replace(GPU, counter_update_s=0.001)
        readings = tuple(
            reading(float(t), energy_counter_joules=50.0 * t + 4.0 * max(0, t - 2))
            for t in range(5)
        )
        series = Series((package,), readings, 1.0)
        options = {"method": "counter", "start_s": 0.0, "span_s": 4.0}
        assert not quiet(series, [package], **options, uncertainties=QUIET_UNCERTAINTIES)

    def test_without_a_sensor_there_is_nothing_to_wait_for(self):
        empty = Series((GPU,), (), 10.0)
        assert at_rest(empty)

    @pytest.mark.parametrize("method", ["counter", "integrated_instant"])
    @pytest.mark.parametrize(
        ("mean_watts", "least", "most"),
        [
            (lambda _: 40.0, 92, 100),
            (lambda t: 40.0 + 2.0 * (30.0 - t), 0, 15),
            (lambda t: 40.0 + 120.0 * exp(-t / 12.0), 0, 15),
        ],
        ids=["constant", "falls evenly", "falls ever more slowly"],
    )
    def test_only_a_fall_that_is_known_is_one_at_the_end(self, method, mean_watts, least, most):
        chance = random.Random(2026)
        known = {"span_s": 25.0, "uncertainties": QUIET_UNCERTAINTIES}
        found = [
            (at_rest(series, method=method), at_rest(series, method=method, **known))
            for series in (scattering(chance, mean_watts) for _ in range(100))
        ]
        assert sum(strict for strict, _ in found) <= 60
        assert least <= sum(rests for _, rests in found) <= most
