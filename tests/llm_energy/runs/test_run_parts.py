"""Runs that are sets of devices: which blocks lie on which, also when one is given up."""

import json
import threading
import time
from collections import Counter

import pytest

from llm_energy.backends.runtime import SCRIPTS
from llm_energy.runs import run_parts as parts
from llm_energy.runs.run_records import DeviceSet, PlanEntry, Spread

SETS = tuple(DeviceSet((f"GPU-{n}",)) for n in range(4))


def spread(**known):
    return Spread("gpu", new_device=True, sets=SETS, **known)


def test_blocks_go_round_the_sets():
    assert [spread().set_of(cycle) for cycle in range(1, 10)] == [0, 1, 2, 3, 0, 1, 2, 3, 0]


def test_a_block_that_was_begun_goes_on_where_it_began():
    begun = spread(begun={"1": 2})
    assert [begun.set_of(cycle) for cycle in (1, 2, 3)] == [2, 1, 2]


def test_the_blocks_of_a_lost_set_spread_over_the_others_and_no_other_block_moves():
    found = {cycle: spread().set_of(cycle, lost=[1]) for cycle in range(1, 25)}
    assert all(found[c] == (c - 1) % 4 for c in found if (c - 1) % 4 != 1)
    assert Counter(found[c] for c in found if (c - 1) % 4 == 1) == {0: 2, 2: 2, 3: 2}


def test_without_any_set_left_a_block_stays_where_it_was():
    assert spread().set_of(2, lost=range(4)) == 1


def test_a_run_without_parts_measures_its_blocks_itself(whole):
    assert parts.run_of_block(whole, 1) == whole
    assert parts.set_runs(whole) == []


def test_a_run_on_a_cluster_measures_no_block_itself(whole):
    whole.write("spread", Spread("gpu", new_device=False))
    assert parts.run_of_block(whole, 1) is None


def test_a_set_is_a_session_of_its_own_until_it_is_given_up(whole):
    whole.write("spread", spread())
    runs = [
        parts.create_part(whole, parts.set_name(i), scripts=SCRIPTS, device_set=each)
        for i, each in enumerate(SETS)
    ]
    assert parts.set_runs(whole) == runs
    assert len({run.record.session_id for run in (whole, *runs)}) == 5
    assert [run.whole for run in runs] == [whole] * 4
    assert parts.run_of_block(whole, 2) == runs[1]
    parts.give_up(whole, runs[1], "gpu_lost")
    parts.give_up(whole, runs[1], "gpu_lost")
    assert parts.run_of_block(whole, 2) == runs[0]
    assert parts.others_left(whole, runs[0]) == runs[2:]
    (event,) = whole.events()
    assert (event["kind"], event["devices"], event["reason"]) == (
        "set_given_up",
        "GPU-1",
        "gpu_lost",
    )


def test_events_of_a_run_that_goes_on_are_there_for_its_own_report(whole):
    whole.add_event("set_given_up", devices="GPU-1", reason="gpu_lost")
    record = whole.results / "runs" / f"{whole.run_id}.json"
    parts.publish_runs(whole.results.with_name("another"))
    assert json.loads(record.read_text())["events"] == []
    parts.publish_runs(whole.results)
    published = json.loads(record.read_text())
    assert [event["kind"] for event in published["events"]] == ["set_given_up"]
    assert published["ended"] is None


def test_engines_load_one_after_another_unless_more_may(whole):
    whole.write("spread", spread(loads_at_once=2))
    runs = [
        parts.create_part(whole, parts.set_name(i), scripts=SCRIPTS, device_set=each)
        for i, each in enumerate(SETS)
    ]
    held = []
    for run in runs[:2]:
        with parts.loading(run):
            held.append(sorted(path.name for path in whole.folder.glob("load-*.lock")))
    assert held[-1] == ["load-0.lock", "load-1.lock"]


@pytest.fixture
def two(whole):
    whole.write("spread", spread())
    return [
        parts.create_part(whole, f"set{n}", scripts=SCRIPTS, device_set=SETS[n], shares_host=True)
        for n in (1, 2)
    ]


def test_sets_measure_beside_each_other_and_one_alone_waits_for_all_of_them(two):
    first, second = two
    order = []

    def measure(part, alone, name):
        with parts.host_share(part, alone=alone, blocked=lambda _: order.append(f"{name} waits")):
            order.append(name)

    with parts.host_share(first, alone=False), parts.host_share(second, alone=False):
        alone = threading.Thread(target=measure, args=(first, True, "alone"))
        alone.start()
        while order != ["alone waits"]:
            time.sleep(0.01)
        later = threading.Thread(target=measure, args=(second, False, "later"))
        later.start()
        while order != ["alone waits", "later waits"]:
            time.sleep(0.01)
    alone.join()
    later.join()
    # The later one may wait a second time, for the host, before the other has entered its block.
    assert [entry for entry in order if not entry.endswith("waits")] == ["alone", "later"]


PLAN = tuple(PlanEntry("nap", cycle, cycle, f"cycle-{cycle}", 1.0) for cycle in range(1, 6))


def test_on_this_host_a_job_sees_the_whole_plan_also_with_sets(whole):
    parts.write_plan(whole, PLAN, cycles_of_allocation=None)
    assert parts.plan_beside(whole, 1) == PLAN
    whole.write("spread", spread())
    assert parts.plan_beside(whole, 1) == PLAN


def test_in_an_allocation_a_job_reads_the_plan_of_its_own_blocks_alone(whole):
    parts.write_plan(whole, PLAN, cycles_of_allocation=2)
    whole.write("spread", Spread("gpu", new_device=False, at_once=2))
    job = parts.create_part(whole, "job7", scripts=SCRIPTS, job="7")
    part = parts.create_part(job, "set1", scripts=SCRIPTS, job="7")
    for planned in (whole.folder / "plan").glob("*.json"):
        if planned.stem != "2":
            planned.unlink()
    assert [entry.cycle for entry in parts.plan_beside(job, 3)] == [3, 4]
    assert part.invocation == job.invocation == whole.invocation == whole
    with pytest.raises(ValueError, match="has no plan/3"):
        parts.plan_beside(job, 5)
    part.remove()
    job.remove()


def test_a_run_of_an_earlier_version_that_died_can_be_ended(whole):
    older = {"device": "gpu", "new_device": False, "schedule": ["measurements/a/cycle-01.json"]}
    whole.write("spread", older)
    assert parts.set_runs(whole) == []
    assert parts.run_of_block(whole, 1) is None
