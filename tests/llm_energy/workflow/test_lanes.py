"""How many measurements run at once, and what that takes."""

from types import SimpleNamespace

import pytest

from llm_energy.campaign.parallel_settings import Parallel
from llm_energy.runs.concurrency import Concurrency, Expected
from llm_energy.runs.run import RUN_VARIABLE, Run
from llm_energy.runs.run_parts import lane_of
from llm_energy.runs.run_records import DeviceSet, Spread
from llm_energy.workflow.lanes import (
    block_group,
    gpu_resources,
    lane_count,
    lane_resources,
    planned_concurrency,
    spread_refusal,
)


class Snakemake:
    in_allocation = False

    def __init__(self, cores, gpu, *, spreads=False):
        self.cores, self._gpu = cores, gpu
        self.spreads, self.allocations = spreads, 4 if spreads else None
        self.limits_cores = not spreads
        self.limits = {}

    def total(self, _resource):
        return self._gpu

    def as_one_job(self, name, number):
        return f"{name}-{number}"

    def limit(self, resource, total):
        self.limits[resource] = total


def campaign(cycles=12, on_gpu=True, **parallel):
    return SimpleNamespace(
        cycles=cycles,
        parallel=Parallel.model_validate(parallel),
        measurement=SimpleNamespace(on_gpu=on_gpu, device="gpu" if on_gpu else "cpu"),
    )


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


def test_sets_of_this_host_and_allocations_of_a_cluster_share_what_there_is_to_do():
    sets = [DeviceSet((str(n),)) for n in range(2)]
    on_host = planned_concurrency(campaign(), 8, allocations=None, sets=sets)
    assert on_host.spread.sets == tuple(sets)
    assert on_host.lasts_s(Expected(cycle, 1.0) for cycle in range(1, 9)) == 4.0
    assert planned_concurrency(campaign(), 8, allocations=None, sets=()) == Concurrency(8)
    there = planned_concurrency(campaign(), 8, allocations=4, sets=())
    assert there == Concurrency(8, allocations=4)


def on_a_cluster(gpu):
    return Snakemake(1, gpu, spreads=True)


def test_an_allocation_measures_as_many_cycles_as_it_has_sets():
    head = on_a_cluster(8)
    assert lane_count(campaign(devices_per_measurement=2), head) == 4
    group = block_group(4, head)
    names = [group(SimpleNamespace(cycle=str(cycle))) for cycle in (1, 4, 5, 9)]
    assert names == ["block-1", "block-1", "block-2", "block-3"]
    assert list(lane_resources(1, head)) == ["set_1"]
    assert block_group(4, Snakemake(8, 8)) is None


def test_an_allocation_has_all_gpus_on_one_node():
    def taken(*arguments):
        found = gpu_resources(*arguments)
        return found.pop("gpu")(None), found

    assert taken(campaign(), 8, on_a_cluster(8)) == (0, {"gres": "gpu:8"})
    assert taken(campaign(), 1, on_a_cluster(0)) == (0, {"gres": "gpu:1"})
    assert taken(campaign(on_gpu=False), 1, on_a_cluster(8)) == (0, {})
    assert taken(campaign(devices_per_measurement=2), 4, Snakemake(8, 8)) == (2, {})


def test_in_an_allocation_the_head_has_said_how_many(tmp_path, monkeypatch):
    run = Run(tmp_path)
    run.write("run", {})
    run.write("spread", Spread("gpu", True, (), at_once=4, gpus_of_set=2))
    monkeypatch.setenv(RUN_VARIABLE, str(tmp_path))
    inside = Snakemake(2, 0)
    inside.in_allocation = True
    assert lane_count(campaign(), inside) == 4


@pytest.mark.parametrize(
    ("declared", "gpu", "message"),
    [
        ({"devices": ["GPU-a"]}, 8, "names GPUs of one host"),
        ({"devices_per_measurement": 4}, 2, "an allocation of 2 GPUs cannot make a set of 4"),
        ({"devices_per_measurement": 2}, 0, "an allocation of 1 GPU cannot make a set of 2"),
    ],
)
def test_what_no_allocation_can_do_is_refused_in_one_line(declared, gpu, message):
    refusal = spread_refusal(campaign(**declared), on_a_cluster(gpu))
    assert message in refusal
    assert "\n" not in refusal


def test_what_allocations_can_do_is_not_refused():
    assert spread_refusal(campaign(devices_per_measurement=2), on_a_cluster(2)) is None
    assert spread_refusal(SimpleNamespace(parallel=None), on_a_cluster(0)) is None
