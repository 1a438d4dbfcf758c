"""Implausible power of a window, and sensors that are blind to it."""

import pytest

from llm_energy.power.baseline import Baseline
from llm_energy.power.meter import State
from llm_energy.power.plausibility import (
    alias_risk,
    impossible_mean,
    sensors_disagree,
    summarise,
)

IDLE = Baseline(power_watts=100.0, standard_error_watts=0.5, deviation_watts=2.0)


@pytest.mark.parametrize(
    ("mean_watts", "reason"),
    [
        (93.9, "mean_power_below_idle"),
        (94.1, None),
        (734.0, None),
        (736.0, "mean_power_above_limit"),
    ],
)
def test_a_mean_lies_between_idle_and_the_enforced_limit(mean_watts, reason):
    assert impossible_mean(mean_watts, baseline=IDLE, power_limit_watts=700.0) == reason


def test_a_mean_that_no_device_of_the_kind_draws_is_refused():
    known = {"baseline": None, "power_limit_watts": None, "power_bound_watts": 1000.0}
    assert impossible_mean(72_000.0, **known) == "mean_power_above_bound"
    assert impossible_mean(999.0, **known) is None


def test_a_sensor_that_shows_no_scatter_is_not_taken_for_perfect():
    flat = Baseline(power_watts=100.0, standard_error_watts=0.0, deviation_watts=0.0)
    assert impossible_mean(99.5, baseline=flat, power_limit_watts=None) is None
    assert impossible_mean(98.5, baseline=flat, power_limit_watts=None) == "mean_power_below_idle"


def test_a_baseline_that_is_not_well_known_refuses_nothing():
    short = Baseline(power_watts=88.0, standard_error_watts=5.0, deviation_watts=0.0)
    assert impossible_mean(80.0, baseline=short, power_limit_watts=None) is None


def test_a_window_that_is_not_well_known_is_not_refused_for_it():
    known = {"baseline": IDLE, "power_limit_watts": None}
    assert impossible_mean(88.0, **known, uncertainty_watts=4.0) is None
    assert impossible_mean(88.0, **known, uncertainty_watts=3.0) == "mean_power_below_idle"


def test_without_baseline_and_limit_nothing_can_be_stated():
    assert impossible_mean(1.0, baseline=None, power_limit_watts=None) is None


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(11.0, True), (9.0, False), (1.0, False), (0.11, False), (0.09, True), (None, False)],
)
def test_two_sensors_of_one_device_cannot_differ_by_any_factor(ratio, expected):
    assert sensors_disagree(ratio) is expected


@pytest.mark.parametrize("step_s", [0.1, 0.0985, 0.05, 0.02, 0.0333, 0.15, 0.5, 0.0203])
def test_steps_in_time_with_the_sensor_are_a_risk(step_s):
    assert alias_risk(step_s)


@pytest.mark.parametrize("step_s", [0.009, 0.0215, 0.0285, 0.055, 0.09, 0.11, 1.0])
def test_other_steps_are_not(step_s):
    assert not alias_risk(step_s)


def test_the_state_of_a_window_keeps_extremes_and_all_reasons():
    state = summarise(
        [
            State(temperature_celsius=60.0, sm_clock_mhz=1980.0, throttle_reasons=0x4),
            State(temperature_celsius=64.0, sm_clock_mhz=1900.0, throttle_reasons=0x20),
            State(performance_state=0),
        ]
    )
    assert state.temperature_mean_celsius == 62.0
    assert state.temperature_max_celsius == 64.0
    assert (state.sm_clock_mean_mhz, state.sm_clock_min_mhz) == (1940.0, 1900.0)
    assert state.throttle_reasons == ["software_power_cap", "software_thermal"]
    assert state.performance_states == [0]


def test_no_state_is_no_summary():
    assert summarise([]) is None
