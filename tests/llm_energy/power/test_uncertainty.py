"""The budget of an energy: known answers."""

import pytest

from llm_energy.power.uncertainty import (
    SensorLimits,
    add_devices,
    combined,
    gross_budget,
    net_budget,
)

FIVE_PERCENT = SensorLimits(gain=0.05, offset_watts=0.0)


def test_gross_6000_j_above_a_baseline_of_100_w():
    budget = net_budget(
        6000.0 - 100.0 * 10.0,
        10.0,
        limits=FIVE_PERCENT,
        edges_joules=0.0,
        baseline_watts=1.0,
    )
    assert budget["gain"] == pytest.approx(144.34, abs=0.005)
    assert budget["baseline"] == pytest.approx(10.0)
    assert combined(budget) == pytest.approx(144.68, abs=0.005)


def test_the_gain_multiplies_the_difference_once_not_each_side():
    budget = net_budget(
        10_000.0 - 4_000.0, 10.0, limits=FIVE_PERCENT, edges_joules=0.0, baseline_watts=0.0
    )
    assert budget["gain"] == pytest.approx(173.2, abs=0.05)


def test_an_offset_counts_in_gross_energy_and_cancels_above_a_baseline():
    limits = SensorLimits(gain=0.0, offset_watts=5.0)
    gross = gross_budget(6000.0, 10.0, limits=limits, edges_joules=0.0)
    net = net_budget(5000.0, 10.0, limits=limits, edges_joules=0.0, baseline_watts=0.0)
    assert combined(gross) == pytest.approx(50.0 / 3**0.5)
    assert combined(net) == 0.0


def test_two_gpus_of_one_kind_may_both_read_too_high():
    one = gross_budget(6000.0, 10.0, limits=FIVE_PERCENT, edges_joules=0.0)
    assert combined(add_devices([one, one])) == pytest.approx(2 * combined(one))


def test_contributions_are_independent():
    assert combined({"gain": 3.0, "edges": 4.0}) == 5.0
