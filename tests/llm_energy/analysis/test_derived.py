"""Cost and carbon of output tokens: from energy and the assumptions of the campaign's file."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy import make_results

from llm_energy.analysis.derived import derived_metrics, per_million_tokens, stated, with_derived
from llm_energy.analysis.experiments_table import experiments_table
from llm_energy.analysis.measurements_table import measurements_table
from llm_energy.campaign.analysis_settings import Assumptions, Electricity
from llm_energy.results.metrics import METRICS

ASSUMED = Assumptions(
    electricity=Electricity(price_per_kwh=0.36, currency="EUR"),
    carbon_intensity_grams_per_kwh=400.0,
    power_usage_effectiveness=1.25,
)
COST, CARBON = "cost_eur_per_million_output_tokens", "carbon_grams_per_million_output_tokens"


def table(assumptions, *, metered=True):
    results = [make_results.make_result(cycle=c, metered=metered) for c in (1, 2, 3)]
    return with_derived(measurements_table(results), assumptions)


def test_known_answer():
    # 3.6 J per token are 1 kWh per million tokens.
    assert per_million_tokens(3.6, per_kwh=0.36) == pytest.approx(0.36)
    twice = per_million_tokens(3.6, per_kwh=0.36, power_usage_effectiveness=2.0)
    assert twice == pytest.approx(0.72)


@given(st.floats(1e-6, 1e6), st.floats(1e-3, 1e3), st.floats(1, 3))
def test_effectiveness_multiplies_once(joules, per_kwh, effectiveness):
    alone = per_million_tokens(joules, per_kwh=per_kwh)
    around = per_million_tokens(joules, per_kwh=per_kwh, power_usage_effectiveness=effectiveness)
    assert around == pytest.approx(effectiveness * alone)


def test_nothing_given_means_nothing_computed():
    assert derived_metrics(Assumptions()) == ()
    assert stated(Assumptions(), {"gpu_board"}) is None
    plain = measurements_table([make_results.make_result(metered=True)])
    assert with_derived(plain, Assumptions()).equals(plain)


def test_effectiveness_alone_computes_nothing():
    assert derived_metrics(Assumptions(power_usage_effectiveness=1.2)) == ()
    assert "power_usage_effectiveness" not in table(Assumptions(power_usage_effectiveness=1.2))


def test_the_assumptions_stand_beside_what_they_give():
    row = table(ASSUMED).iloc[0]
    assert row[COST] == pytest.approx(row["joules_per_output_token"] / 3.6 * 0.36 * 1.25)
    assert row[CARBON] == pytest.approx(row["joules_per_output_token"] / 3.6 * 400 * 1.25)
    assert row["electricity_price_eur_per_kwh"] == 0.36
    assert row["carbon_intensity_grams_per_kwh"] == 400
    assert row["power_usage_effectiveness"] == 1.25


def test_intervals_are_those_of_the_energy_carried_over():
    metrics = (*METRICS, *derived_metrics(ASSUMED))
    rows = experiments_table(table(ASSUMED), metrics).set_index("metric")
    energy, cost = rows.loc["joules_per_output_token"], rows.loc[COST]
    assert (cost["unit"], cost["n"]) == ("EUR", 3)
    factor = 0.36 / 3.6 * 1.25
    for column in ("mean", "t_low", "t_high", "log_t_low", "log_t_high", "total_low", "total_high"):
        assert cost[column] == pytest.approx(factor * energy[column])
    assert cost["relative_half_width"] == pytest.approx(energy["relative_half_width"])


def test_without_energy_there_is_no_cost_and_no_statement():
    unmetered = table(ASSUMED, metered=False)
    assert unmetered[COST].isna().all()
    assert not experiments_table(unmetered)["metric"].str.startswith("cost").any()
    assert stated(ASSUMED, set()) is None


def test_the_statement_names_every_assumption_and_the_scope():
    text = stated(ASSUMED, {"gpu_board"})
    assert "0.36 EUR per kWh, 400 g CO2e per kWh" in text
    assert "effectiveness of 1.25" in text
    assert "scope gpu_board: a lower bound" in text
    assert "lower bound" not in stated(ASSUMED, {"wall"})
    without = ASSUMED.model_copy(update={"power_usage_effectiveness": None})
    assert "nothing of the data centre" in stated(without, {"gpu_board"})


def test_an_empty_table_stays_empty():
    assert len(with_derived(measurements_table([]), ASSUMED)) == 0
    assert isinstance(with_derived(measurements_table([]), ASSUMED), pd.DataFrame)
