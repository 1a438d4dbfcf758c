"""The uncertainty budget of each experiment on each device."""

import math

import pytest
from tests.llm_energy import make_results

from llm_energy.analysis.aggregate import aggregate
from llm_energy.report.budget import budget_table
from llm_energy.results.result import write_result


@pytest.mark.parametrize("models", [("Board A", "Board B"), ("Board A", "Board A")])
def test_each_device_group_has_the_limits_of_its_own_sensors(tmp_path, models):
    planned = []
    for cycle in range(1, 7):
        place = int(cycle > 3)
        result = make_results.make_result(
            cycle=cycle,
            metered=True,
            device_model=models[place],
            power_limit_watts=(None, 300.0)[place],
        )
        limits = {"gain_limit_relative": (0.05, 0.02)[place], "offset_limit_watts": 0.0}
        result = result.model_copy(update={"energy": result.energy.model_copy(update=limits)})
        planned.append(make_results.path_of(result))
        write_result(tmp_path / planned[-1], result)
    summary = aggregate(tmp_path, planned=planned, design=make_results.design())
    gains = [math.sqrt(3) * gain for gain in budget_table(summary)["gain_relative"]]
    assert sorted(gains) == pytest.approx([0.02, 0.05])
