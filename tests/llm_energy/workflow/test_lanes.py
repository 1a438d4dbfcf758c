"""How many measurements run at once, and what that takes."""

from types import SimpleNamespace

import pytest

from llm_energy.campaign.parallel_settings import Parallel
from llm_energy.runs.run_records import DeviceSet, Spread
from llm_energy.workflow.lanes import lane_count, lane_of, lane_resources, longest_lane_s


class Snakemake:
    in_allocation = spreads = False

    def __init__(self, cores, gpu):
        self.cores, self._gpu = cores, gpu
        self.limits = {}

    def total(self, _resource):
        return self._gpu

    def limit(self, resource, total):
        self.limits[resource] = total


def campaign(cycles=12, **parallel):
    return SimpleNamespace(cycles=cycles, parallel=Parallel.model_validate(parallel))


@pytest.mark.parametrize(
    ("cores", "gpu", "declared", "lanes"),
    [
        (8, 8, {}, 8),
        (1, 8, {}, 1),
        (8, 1, {}, 1),
        (8, 8, {"devices_per_measurement": 2}, 4),
        (8, 8, {"devices": ["GPU-a", "GPU-b"]}, 2),
        (8, 8, {"cycles": 5}, 5),
        (8, 1, {"devices_per_measurement": 2}, 1),
    ],
)
def test_the_command_and_the_campaign_say_how_many(cores, gpu, declared, lanes):
    assert lane_count(campaign(**declared), Snakemake(cores, gpu)) == lanes


def test_without_parallel_one_measurement_runs_at_a_time():
    assert lane_count(SimpleNamespace(cycles=9, parallel=None), Snakemake(8, 8)) == 1
    assert lane_resources(1, Snakemake(8, 8)) == {}


def test_each_block_takes_the_one_lane_that_its_set_has():
    snakemake = Snakemake(3, 3)
    resources = lane_resources(3, snakemake)
    assert snakemake.limits == dict.fromkeys(resources, 1)
    sets = Spread("gpu", True, (), sets=tuple(DeviceSet((str(n),)) for n in range(3)))
    for cycle in range(1, 8):
        taken = [take(SimpleNamespace(cycle=str(cycle))) for take in resources.values()]
        assert sorted(taken) == [0, 0, 1]
        assert taken.index(1) == lane_of(cycle, 3) == sets.set_of(cycle)


def test_the_longest_lane_decides_when_all_is_done():
    durations = [(1, 10.0), (1, 5.0), (2, 12.0), (3, 1.0)]
    assert longest_lane_s(durations, 2) == 16.0
    assert longest_lane_s(durations, 1) == 28.0
    assert longest_lane_s([], 2) == 0.0
