"""Results under other limits of the sensors, against those measured with them."""

import pytest
from tests.llm_energy.make_results import make_result
from tests.llm_energy.power.made_power import phases, series_of

from llm_energy.analysis.restate import with_limits
from llm_energy.campaign.analysis_settings import SensorAccuracy
from llm_energy.power.accounting import account_energy
from llm_energy.power.uncertainty import SensorLimits
from llm_energy.results.parts import Tokens

SPANS = {"idle": (1.0, 9.0), "window": (12.0, 24.0)}
TOKENS = Tokens(input=10, output=100, requests=1)


def measured(limits):
    """A result of 12 s whose energy was accounted for with these limits."""
    account = account_energy(
        series_of(lambda t: 100.0 if t < 10.0 else 600.0), phases(**SPANS), TOKENS, limits=limits
    )
    result = make_result(experiment="e", cycle=1, position=0)
    window = result.window.model_copy(update={"duration_s": 12.0})
    return result.model_copy(update={"energy": account.energy, "window": window})


def test_it_is_as_if_it_had_been_measured_with_them():
    restated = with_limits(
        measured(SensorLimits(0.05, 5.0)),
        SensorAccuracy(gain_limit_relative=0.01, offset_limit_watts=2.0),
    ).energy
    wanted = measured(SensorLimits(0.01, 2.0)).energy
    for name in ("uncertainty_budget_joules", "above_loaded_idle_budget_joules"):
        assert getattr(restated, name) == pytest.approx(getattr(wanted, name))
    assert restated.standard_uncertainty_joules == pytest.approx(wanted.standard_uncertainty_joules)
    assert restated.energy_joules == wanted.energy_joules


def test_without_a_word_on_the_sensor_nothing_changes():
    result = measured(SensorLimits(0.05, 5.0))
    assert with_limits(result, None) is result


def test_an_energy_that_is_not_known_stays_unknown():
    result = make_result(experiment="e", cycle=1, position=0)
    unknown = result.energy.model_copy(update={"energy_joules": None, "reason": "no_meter"})
    result = result.model_copy(update={"energy": unknown})
    assert with_limits(result, SensorAccuracy(gain_limit_relative=0.01)) is result
