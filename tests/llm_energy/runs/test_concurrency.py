"""Measurements at the same time, and how long they take: on lanes, on sets, in allocations."""

import pytest

from llm_energy.backends.runtime import SCRIPTS
from llm_energy.runs.concurrency import SERIAL, Concurrency, Expected, concurrency_of
from llm_energy.runs.run_parts import create_part, give_up, set_name
from llm_energy.runs.run_records import DeviceSet, Spread

SETS = tuple(DeviceSet((f"GPU-{n}",)) for n in range(2))
DURATIONS = [Expected(1, 10.0), Expected(1, 5.0), Expected(2, 12.0), Expected(3, 1.0)]


def on_two_sets(**known):
    return Spread("gpu", new_device=True, sets=SETS, **known)


def blocks(count, each_s=10.0):
    return [Expected(cycle, each_s) for cycle in range(1, count + 1)]


def test_the_longest_lane_decides_when_all_is_done():
    assert Concurrency(2).lasts_s(DURATIONS) == 16.0
    assert SERIAL.lasts_s(DURATIONS) == 28.0
    assert Concurrency(2).lasts_s([]) == 0.0


def test_more_lanes_than_sets_take_turns_on_them():
    assert Concurrency(8, on_two_sets()).lasts_s(blocks(8)) == 40.0
    assert Concurrency(2, on_two_sets()).lasts_s(blocks(8)) == 40.0
    assert Concurrency(1, on_two_sets()).lasts_s(blocks(8)) == 80.0


def test_begun_blocks_and_a_lost_set_leave_more_to_another_one():
    begun = on_two_sets(begun={"1": 1})
    assert Concurrency(2, begun).lasts_s(blocks(4)) == 30.0
    assert Concurrency(2, on_two_sets(), lost=(0,)).lasts_s(blocks(4)) == 40.0


@pytest.mark.parametrize(
    ("allocations", "lasts_s", "used"), [(1, 40.0, 1), (3, 20.0, 3), (4, 10.0, 4), (99, 10.0, 4)]
)
def test_as_many_allocations_measure_as_there_may_be_and_no_more_than_there_is_to_do(
    allocations, lasts_s, used
):
    """Eight cycles, two in each allocation."""
    planned = Concurrency(2, allocations=allocations)
    assert planned.lasts_s(blocks(8)) == lasts_s
    assert planned.in_turn_s(blocks(8)) == 40.0
    assert planned.used(expected.cycle for expected in blocks(8)) == used


def test_cycles_that_are_left_share_allocations_by_their_numbers():
    left = [
        Expected(cycle, 10.0) for cycle in (1, 5, 9)
    ]  # one in each of three allocations of four
    assert Concurrency(4, allocations=3).lasts_s(left) == 10.0
    assert Concurrency(4, allocations=2).lasts_s(left) == 20.0


def test_all_other_sets_are_idle_while_one_measures_alone():
    alone = [Expected(cycle, 3.0, alone=True) for cycle in range(1, 9)]
    every = [*blocks(8), *alone]
    assert Concurrency(8).lasts_s(every) == 10.0 + 8 * 3.0
    assert Concurrency(2, on_two_sets()).lasts_s(every) == 40.0 + 8 * 3.0
    assert Concurrency(2, on_two_sets(), lost=(0,)).lasts_s(every) == 80.0 + 8 * 3.0
    assert Concurrency(8).in_turn_s(every) == 10.0 + 8 * 3.0
    assert SERIAL.lasts_s(every) == 80.0 + 8 * 3.0
    assert Concurrency(8).lasts_s(alone) == 8 * 3.0


def test_who_measures_alone_in_an_allocation_keeps_no_other_one_idle():
    """Eight cycles, two in each of four allocations."""
    every = [*blocks(8), *(Expected(cycle, 3.0, alone=True) for cycle in range(1, 9))]
    assert Concurrency(2, allocations=4).lasts_s(every) == 10.0 + 2 * 3.0
    assert Concurrency(2, allocations=2).lasts_s(every) == 2 * (10.0 + 2 * 3.0)
    assert Concurrency(2, allocations=4).in_turn_s(every) == 4 * (10.0 + 2 * 3.0)


def test_on_one_host_there_is_no_allocation():
    assert Concurrency(2).used([1, 2, 3]) == 0
    assert Concurrency(2).in_turn_s(blocks(4)) == 20.0


def test_a_run_measures_on_its_sets_that_are_left(whole):
    assert concurrency_of(whole) == SERIAL
    spread = on_two_sets(at_once=2)
    whole.write("spread", spread)
    parts = [
        create_part(whole, set_name(index), scripts=SCRIPTS, device_set=each)
        for index, each in enumerate(SETS)
    ]
    assert concurrency_of(whole) == Concurrency(2, spread)
    give_up(whole, parts[0], "gpu_lost")
    assert concurrency_of(whole) == Concurrency(2, spread, lost=(0,))
    for part in parts:
        part.remove()


def test_allocations_count_that_have_begun(whole):
    whole.write("spread", Spread("gpu", new_device=False, at_once=2))
    assert concurrency_of(whole) == Concurrency(2, allocations=0)
    jobs = [create_part(whole, f"job{n}", scripts=SCRIPTS, job=str(n)) for n in (7, 8)]
    assert concurrency_of(whole) == Concurrency(2, allocations=2)
    sets = [create_part(job, "set1", scripts=SCRIPTS, device_set=SETS[0]) for job in jobs]
    assert concurrency_of(whole) == Concurrency(2, allocations=2)
    assert [concurrency_of(each) for each in (*jobs, *sets)] == [SERIAL] * 4
    for each in (*sets, jobs[0]):
        each.remove()
    assert concurrency_of(whole) == Concurrency(2, allocations=1)
    jobs[1].remove()
