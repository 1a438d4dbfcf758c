"""One device over the phases of a measurement: its record, and energy that is not believed."""

import dataclasses
import math

import pytest
from tests.llm_energy.power.made_power import GPU, constant, load_of, series_of

from llm_energy.power.device_account import Account
from llm_energy.power.meter import Device, State
from llm_energy.power.sensor import Sensor

SPANS = {"load": (1.0, 3.0), "idle": (4.0, 9.0), "window": (14.03, 24.03)}
PACKAGE = Device(id="package-0", model="Made CPU", scope="cpu_package", power_bound_watts=50.0)


def account(power, *, method="counter", spans=SPANS, state=None, **options):
    """The account of a device; `state`: of the time in s."""
    series = series_of(power, **options)
    if state is not None:
        kept = (dataclasses.replace(r, state=state(r.monotonic_s)) for r in series.readings)
        series = dataclasses.replace(series, readings=tuple(kept))
    return Account(Sensor(series.devices[0], series), method, spans, counted=True)


def used(rest_percent, work_percent):
    """Utilisation in the idle phase, and in the window."""

    def state(time_s):
        return State(utilisation_percent=rest_percent if time_s < 10.0 else work_percent)

    return state


def test_a_record_holds_each_source_the_idle_power_and_both_ratios():
    def state(_):
        return State(temperature_celsius=60.0, power_limit_watts=710.0)

    labelled = dataclasses.replace(GPU, label="board 3")
    made = account(load_of(600.0), counter_gain=0.84, device=labelled, state=state)
    found = dataclasses.replace(made, counted=False, mirror_of="GPU-0").record().model_dump()
    assert found.pop("state")["temperature_mean_celsius"] == 60.0
    uncertainty = found.pop("counter_over_instant_uncertainty")
    lag_joules = 0.1 * 600.0 / math.sqrt(6.0)  # constant power is integrated exactly
    assert uncertainty == pytest.approx(lag_joules / 5040.0, rel=1e-4)
    assert found == pytest.approx(
        {
            "device": "GPU-1",
            "scope": "gpu_board",
            "counted": False,
            "label": "board 3",
            "mirror_of": "GPU-0",
            "method": "counter",
            "energy_joules": 5040.0,
            "reason": None,
            "counter_joules": 5040.0,
            "integrated_instant_joules": 6000.0,
            "integrated_average_joules": None,
            "loaded_idle_power_watts": 84.0,
            "counter_over_instant": 0.84,
            "counter_over_instant_idle": 0.84,
            "update_period_s": 0.1,
            "power_limit_watts": 710.0,
        }
    )


def test_a_record_without_a_window_holds_what_was_known_before_it():
    found = account(load_of(600.0), spans={"idle": (4.0, 9.0)}).record()
    assert (found.energy_joules, found.reason) == (None, "no_window")
    assert found.loaded_idle_power_watts == pytest.approx(100.0)
    assert found.counter_over_instant_idle == pytest.approx(1.0)
    assert found.counter_over_instant is found.counter_over_instant_uncertainty is None
    assert found.counter_joules is found.power_limit_watts is found.state is None


def test_the_ratio_of_two_sensors_is_uncertain_by_both():
    rough = account(lambda t: load_of(600.0)(t) + 25.0 * (-1) ** round(10 * t))
    amounts = [rough.sensor.energy(m, 14.03, 24.03) for m in ("counter", "integrated_instant")]
    parts = [amount.uncertainty_joules / amount.joules for amount in amounts]
    assert min(parts) > 0.003
    found = rough.record().counter_over_instant_uncertainty
    assert found == pytest.approx(math.hypot(*parts))


def test_a_single_sensor_has_no_ratio_and_no_uncertainty_of_one():
    both = account(load_of(600.0)).sensor
    kept = (dataclasses.replace(r, instant_power_watts=None) for r in both.series.readings)
    series = dataclasses.replace(both.series, readings=tuple(kept))
    found = Account(Sensor(GPU, series), "counter", SPANS, counted=True).record()
    assert found.energy_joules == pytest.approx(6000.0)
    assert found.counter_over_instant is found.counter_over_instant_uncertainty is None


def test_the_integral_of_average_power_stands_beside_the_others():
    both = account(load_of(600.0)).sensor
    kept = (dataclasses.replace(r, average_power_watts=590.0) for r in both.series.readings)
    series = dataclasses.replace(both.series, readings=tuple(kept))
    found = Account(Sensor(GPU, series), "integrated_instant", SPANS, counted=True).record()
    assert found.integrated_average_joules is None  # it never changes
    moving = tuple(
        dataclasses.replace(r, average_power_watts=load_of(590.0)(r.monotonic_s))
        for r in series.readings
    )
    series = dataclasses.replace(series, readings=moving)
    found = Account(Sensor(GPU, series), "integrated_instant", SPANS, counted=True).record()
    assert found.integrated_average_joules == pytest.approx(5900.0)


def test_a_device_that_is_refused_has_no_idle_power_either():
    split = dataclasses.replace(GPU, refusal="mig_enabled")
    assert account(load_of(600.0), device=split).baseline is None


def test_a_counter_that_never_moves_is_stuck():
    assert account(load_of(600.0), counter_gain=0.0).window.reason == "counter_stuck"


def test_energy_above_idle_is_the_window_less_idle_power_times_its_duration():
    assert account(load_of(600.0)).net_joules == pytest.approx(6000.0 - 100.0 * 10.0)
    assert account(load_of(600.0), spans={"window": (14.0, 24.0)}).net_joules is None
    assert account(load_of(600.0), end=20.0).net_joules is None


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (used(10.0, 60.0), "power_stuck"),
        (used(10.0, 59.0), None),
        (used(None, 90.0), None),
        (used(0.0, None), None),
        (used(None, None), "power_stuck"),
    ],
)
def test_power_that_never_changes_is_stuck_where_utilisation_rose_by_half(state, reason):
    constant_power = account(constant(400.0), method="integrated_instant", state=state)
    assert constant_power.window.reason == reason


def test_without_an_idle_phase_constant_power_is_believed():
    spans = {"window": (14.03, 24.03)}
    found = account(constant(400.0), method="integrated_instant", spans=spans)
    assert found.window.joules == pytest.approx(4000.0)


def test_a_package_that_would_have_drawn_more_than_its_bound_has_no_energy():
    assert account(constant(49.0), device=PACKAGE).window.joules == pytest.approx(490.0)
    assert account(constant(51.0), device=PACKAGE).window.reason == "mean_power_above_bound"


@pytest.mark.parametrize(("duration_s", "reason"), [(2.0, None), (10.0, "mean_power_below_idle")])
def test_a_mean_below_idle_is_believed_as_far_as_its_own_edges_allow(duration_s, reason):
    """4 W below an idle power that is known within 0.8 W; edges of 4 J are 2 W in 2 s."""
    spans = {"idle": (4.0, 9.0), "window": (14.0, 14.0 + duration_s)}
    assert account(load_of(96.0), spans=spans).window.reason == reason
