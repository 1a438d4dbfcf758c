"""The budget of an energy: known answers, several devices, and other limits of the sensors."""

import dataclasses

import pytest
from tests.llm_energy.make_results import make_result
from tests.llm_energy.power.made_power import GPU, phases, series_of, together

from llm_energy.analysis.energy_uncertainty import (
    combined,
    disagreement,
    gross_budget,
    net_budget,
    with_limits,
)
from llm_energy.campaign.analysis_settings import SensorAccuracy
from llm_energy.power.accounting import account_energy
from llm_energy.results.parts import Tokens
from llm_energy.results.result import Result

SPANS = {"idle": (4.0, 9.0), "window": (14.03, 24.03)}
TOKENS = Tokens(input=10, output=100, requests=1)
OTHER = dataclasses.replace(GPU, id="GPU-2")


def result_of(*, gain=0.05, offset=0.0, **energy) -> Result:
    """A result with a window of 10 s, 6000 J, and 100 W of one device at idle."""
    result = make_result(metered=True)
    device = result.energy.devices[0].model_copy(
        update={"energy_joules": 6000.0, "loaded_idle_power_watts": 100.0}
    )
    known = {
        "energy_joules": 6000.0,
        "energy_above_loaded_idle_joules": 5000.0,
        "loaded_idle_standard_error_watts": 0.0,
        "gain_limit_relative": gain,
        "offset_limit_watts": offset,
        "edge_uncertainty_joules": 0.0,
        "devices": [device],
    }
    return result.model_copy(
        update={
            "energy": result.energy.model_copy(update=known | energy),
            "window": result.window.model_copy(update={"duration_s": 10.0}),
        }
    )


def measured(*series) -> Result:
    """A result whose energy was accounted for from these series."""
    return result_of(**dict(account_energy(together(*series), phases(**SPANS), TOKENS).energy))


def load_of(watts):
    return lambda t: 100.0 if t < 10.0 else watts


def test_gross_6000_j_above_a_baseline_of_100_w():
    budget = net_budget(result_of(loaded_idle_standard_error_watts=1.0))
    assert budget["gain"] == pytest.approx(144.34, abs=0.005)
    assert budget["baseline"] == pytest.approx(10.0)
    assert combined(budget) == pytest.approx(144.68, abs=0.005)


def test_what_no_reading_shows_is_part_of_both_budgets_where_it_is_known():
    parts = {"edge": 3.0, "sampling": 4.0, "gap": 12.0}
    named = {f"{part}_uncertainty_joules": joules for part, joules in parts.items()}
    result = result_of(gain=0.0, **named, loaded_idle_standard_error_watts=0.0)
    for budget in (gross_budget(result), net_budget(result)):
        assert [budget[name] for name in ("edges", "sampling", "gaps")] == [3.0, 4.0, 12.0]
        assert combined(budget) == pytest.approx(13.0)
    assert "sampling" not in gross_budget(result_of())


def test_the_gain_multiplies_the_difference_once_not_each_side():
    gross, net = gross_budget(result_of()), net_budget(result_of())
    assert gross["gain"] == pytest.approx(173.2, abs=0.05)
    assert net["gain"] == pytest.approx(gross["gain"] * 5000.0 / 6000.0)


def test_an_offset_counts_in_gross_energy_and_cancels_above_a_baseline():
    result = result_of(gain=0.0, offset=5.0)
    assert combined(gross_budget(result)) == pytest.approx(50.0 / 3**0.5)
    assert combined(net_budget(result)) == 0.0


def test_contributions_are_independent():
    assert combined({"gain": 3.0, "edges": 4.0}) == 5.0


def test_the_budget_of_a_measured_energy_holds_every_contribution():
    result = with_limits(
        measured(series_of(load_of(600.0))),
        SensorAccuracy(gain_limit_relative=0.05, offset_limit_watts=3.0),
    )
    assert gross_budget(result) == pytest.approx(
        {"gain": 173.205, "offset": 17.3205, "edges": 24.495, "sampling": 0.0, "gaps": 0.0},
        rel=1e-4,
    )
    assert combined(gross_budget(result)) == pytest.approx(175.784, rel=1e-5)
    assert net_budget(result) == pytest.approx(
        {"gain": 144.338, "edges": 24.495, "sampling": 0.0, "gaps": 0.0, "baseline": 8.3316},
        rel=1e-4,
    )


def test_several_gpus_may_be_wrong_in_the_same_direction():
    one = series_of(load_of(600.0))
    both = measured(one, series_of(load_of(600.0), device=OTHER))
    for budget in (gross_budget, net_budget):
        assert budget(both) == pytest.approx({k: 2 * v for k, v in budget(measured(one)).items()})


def test_a_device_below_its_idle_power_does_not_make_the_sum_surer():
    up, down = series_of(load_of(600.0)), series_of(load_of(99.0), device=OTHER)
    assert net_budget(measured(up, down))["gain"] > net_budget(measured(up))["gain"]


def test_other_limits_change_the_budget_and_no_energy():
    result = result_of(offset=5.0)
    other = with_limits(result, SensorAccuracy(gain_limit_relative=0.01, offset_limit_watts=2.0))
    assert gross_budget(other) == pytest.approx(gross_budget(result_of(gain=0.01, offset=2.0)))
    assert other.energy.energy_joules == result.energy.energy_joules


def test_without_a_word_on_the_sensor_nothing_changes():
    result = result_of()
    assert with_limits(result, None) is result


@pytest.mark.parametrize(
    ("counter_gain", "limit"), [(1.2, 0.2 / 1.2), (0.8, 0.25), (1.04, 0.05), (1.0, 0.05)]
)
def test_two_sensors_that_disagree_are_both_in_the_budget(counter_gain, limit):
    result = measured(series_of(load_of(500.0), counter_gain=counter_gain))
    found = with_limits(result, None)
    assert found.energy.gain_limit_relative == pytest.approx(limit, rel=0.02)
    joules = result.energy.energy_joules
    assert gross_budget(found)["gain"] == pytest.approx(limit * joules / 3**0.5, rel=0.02)
    assert net_budget(found)["gain"] == pytest.approx(
        limit * result.energy.energy_above_loaded_idle_joules / 3**0.5, rel=0.02
    )


def test_a_device_that_is_not_counted_makes_no_energy_less_sure():
    good = measured(series_of(load_of(500.0)))
    other = measured(series_of(load_of(500.0), counter_gain=1.5)).energy.devices[0]
    beside = other.model_copy(update={"counted": False})
    energy = good.energy.model_copy(update={"devices": [*good.energy.devices, beside]})
    assert disagreement(energy) == pytest.approx(0.0, abs=0.01)


def test_limits_that_the_campaign_states_hold_whatever_the_sensors_say():
    result = measured(series_of(load_of(500.0), counter_gain=1.2))
    stated = SensorAccuracy(gain_limit_relative=0.01)
    assert with_limits(result, stated).energy.gain_limit_relative == 0.01


def test_an_energy_that_is_not_known_stays_unknown():
    result = make_result()
    assert with_limits(result, SensorAccuracy(gain_limit_relative=0.01)) is result
    assert combined(gross_budget(result)) is None
    assert combined(net_budget(result)) is None


def test_without_an_error_of_the_baseline_only_the_gross_budget_is_known():
    result = result_of(loaded_idle_standard_error_watts=None)
    assert net_budget(result) is None
    assert gross_budget(result) is not None
