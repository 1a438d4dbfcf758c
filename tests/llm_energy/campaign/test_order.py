"""The order of the measurements: randomised complete blocks that nothing added later disturbs."""

from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy.make_campaigns import changed, load, make_checkout, with_experiments

from llm_energy.campaign.order import schedule

MANY = with_experiments(
    toy={
        "axes": {
            "engine.toy.threads": [1, 2],
            "batch_size": [1, 2, 4],
            "output_tokens": [8, 16],
        }
    },
    boxy={
        "settings": {"backend": "boxy"},
        "axes": {"batch_size": [1, 2], "output_tokens": [8, 16]},
    },
)


@pytest.fixture(scope="module")
def experiments(tmp_path_factory):
    return load(make_checkout(tmp_path_factory.mktemp("ordered")), MANY).experiments


def plan(experiments, *, seed, cycles):
    made = schedule(experiments, cycles=cycles, seed=seed, randomised=True)
    return [(planned.experiment.name, planned.cycle) for planned in made]


SEEDS, CYCLES = st.integers(0, 2**63 - 1), st.integers(1, 6)


@given(seed=SEEDS, cycles=CYCLES)
def test_every_cycle_is_a_complete_block(experiments, seed, cycles):
    made = schedule(experiments, cycles=cycles, seed=seed, randomised=True)
    assert [planned.position for planned in made] == list(range(cycles * len(experiments)))
    for cycle in range(1, cycles + 1):
        first = (cycle - 1) * len(experiments)
        block = made[first : first + len(experiments)]
        assert {planned.cycle for planned in block} == {cycle}
        assert {planned.experiment for planned in block} == set(experiments)


@given(seed=SEEDS)
def test_what_shares_an_engine_process_or_a_backend_is_adjacent(experiments, seed):
    block = [
        planned.experiment
        for planned in schedule(experiments, cycles=1, seed=seed, randomised=True)
    ]
    for shared in (
        lambda experiment: experiment.engine_key,
        lambda experiment: experiment.settings.backend,
    ):
        runs = [key for key, _ in groupby(block, key=shared)]
        assert len(runs) == len(set(runs))


@given(seed=SEEDS, cycles=CYCLES)
def test_the_order_follows_from_the_seed(experiments, seed, cycles):
    assert plan(experiments, seed=seed, cycles=cycles) == plan(
        experiments, seed=seed, cycles=cycles
    )


def test_seeds_and_cycles_have_orders_of_their_own(experiments):
    def block(seed, cycle):
        return tuple(name for name, at in plan(experiments, seed=seed, cycles=20) if at == cycle)

    assert len({block(seed, 1) for seed in range(20)}) == 20
    assert len({block(0, cycle) for cycle in range(1, 21)}) == 20


def test_every_experiment_comes_first_in_some_block(experiments):
    first = {plan(experiments, seed=seed, cycles=1)[0][0] for seed in range(300)}
    assert first == {experiment.name for experiment in experiments}


@given(seed=SEEDS, cycles=CYCLES)
def test_adding_a_cycle_keeps_the_order_of_the_earlier_ones(experiments, seed, cycles):
    before = plan(experiments, seed=seed, cycles=cycles)
    assert plan(experiments, seed=seed, cycles=cycles + 1)[: len(before)] == before


@given(seed=SEEDS, dropped=st.integers(0, 15))
def test_adding_an_experiment_keeps_the_order_of_the_others(experiments, seed, dropped):
    fewer = [experiment for i, experiment in enumerate(experiments) if i != dropped]
    more = plan(experiments, seed=seed, cycles=2)
    absent = experiments[dropped].name
    assert plan(fewer, seed=seed, cycles=2) == [planned for planned in more if planned[0] != absent]


def test_sequential_keeps_the_declared_order(root):
    campaign = load(root, changed(lambda c: c.update(order="sequential")))
    names = [experiment.name for experiment in campaign.experiments]
    assert [planned.experiment.name for planned in campaign.schedule] == names * 2


def test_an_engine_process_is_shared_where_it_is_loaded_with_the_same(root):
    def keys(**axes):
        campaign = load(root, with_experiments(x={"axes": axes}))
        return {experiment.engine_key for experiment in campaign.experiments}

    assert len(keys(output_tokens=[8, 16])) == 1
    assert len(keys(**{"sampling.temperature": [0.0, 1.0]})) == 1
    assert len(keys(batch_size=[1, 2])) == 2
    assert len(keys(context_tokens=[512, 1024])) == 2
    assert len(keys(**{"engine.toy.threads": [1, 2]})) == 2
    assert len(keys(**{"engine.toy.slots": [8], "batch_size": [1, 2]})) == 1


def test_the_path_of_a_result_holds_spec_and_cycle_and_no_name(root):
    planned = load(root).schedule[0]
    spec_hash = planned.experiment.spec_hash
    assert planned.result_path == f"measurements/{spec_hash}/cycle-01.json"


def test_every_result_has_a_path_of_its_own(root):
    paths = [planned.result_path for planned in load(root, MANY).schedule]
    assert all(one != other for one, other in pairwise(sorted(paths)))
