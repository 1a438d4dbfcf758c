"""The model of a campaign on a cluster, against small cases that were worked out by hand."""

from dataclasses import replace

import pytest
from benchmarks.cluster import Cluster, Costs, Server, breaks_first, simulate

ROUND = Costs(
    planning_s=1.0,
    comparing_s=0.0,
    submitting_s=2.0,
    starting_s=10.0,
    noticing_s=5.0,
    finishing_s=3.0,
    beside_s=4.0,
    reading_s=0.0,
    reporting_s=7.0,
    reporting_bytes=100.0,
    files=5.0,
    lookups=0.0,
    answers_hz=1e12,
)
"""Costs with which a case can be added up; the file system answers at once."""


def outcome(costs=ROUND, **cluster):
    return simulate(
        Cluster(
            **{"nodes": 1, "gpus": 1, "experiments": 1, "cycles": 1, **cluster}, measurement_s=100.0
        ),
        costs,
    )


def test_one_measurement_takes_the_sum_of_all_steps():
    found = outcome()
    assert found.planned_s == 1.0
    # planned 1, submitted 2, started 10, beside 4, phases 100, noticed 5, finished 3, the page 7
    assert found.total_s == pytest.approx(1 + 2 + 10 + 4 + 100 + 5 + 3 + 7)
    assert found.ideal_s == 100.0
    assert found.head.busy_s == 2 + 3


def test_a_block_is_measured_one_after_the_other_and_blocks_beside_each_other():
    found = outcome(gpus=2, experiments=3, cycles=2)
    # 6 planned; three measurements on each of two GPUs; 6 results finished, 6 on the page
    assert found.allocations == 1
    assert found.total_s == pytest.approx(6 + 2 + 10 + 3 * 104 + 5 + 6 * 3 + 6 * 7)


def test_a_node_gets_its_next_allocation_when_the_head_has_finished_the_last_one():
    found = outcome(cycles=2)
    assert found.allocations == 2
    one = 2 + 10 + 104 + 5 + 3
    assert found.total_s == pytest.approx(2 + 2 * one + 2 * 7)


def test_the_head_submits_and_finishes_one_allocation_at_a_time():
    found = outcome(nodes=2, cycles=2)
    # The second is submitted 2 s after the first, so the ends come 2 s apart; each takes 3 s.
    assert found.measured_s == pytest.approx(2 + 2 + 10 + 104 + 5 + 3 + 3)
    assert found.head.longest_wait_s == pytest.approx(2.0)
    assert found.head.busy_s == 2 * 2 + 2 * 3


def test_fewer_cycles_than_gpus_leave_some_idle():
    assert outcome(gpus=4, cycles=5).allocations == 2
    assert outcome(gpus=4, cycles=4).allocations == 1


def test_measuring_jobs_wait_for_look_ups_before_them():
    costs = replace(ROUND, lookups=8.0, answers_hz=1.0)
    found = outcome(costs, gpus=2, cycles=2)
    # 8 look-ups of its own and two at each of the 2 results of its allocation: 12 s for each job
    assert found.files.busy_s == 24.0
    assert found.files.longest_wait_s == 12.0
    assert found.measured_s == pytest.approx(2 + 2 + 10 + 24 + 104 + 5 + 2 * 3)


def test_jobs_that_look_for_all_results_look_up_more():
    costs = replace(ROUND, answers_hz=1.0)
    own, all_ = (
        outcome(replace(costs, sees_all=sees), cycles=3).files.busy_s for sees in (False, True)
    )
    assert (own, all_) == (3 * 2.0, 3 * 6.0)


def test_pairs_of_jobs_are_compared_twice():
    assert outcome(replace(ROUND, comparing_s=0.5), cycles=4).planned_s == 4 + 2 * 0.5 * 16


def test_files_and_memory_grow_with_the_measurements():
    found = outcome(gpus=2, experiments=3, cycles=4)
    # 12 × 5; a record for each of 4 sets, record and log for each of 2 allocations
    assert found.kept_files == 60 + 4 + 2 * 2
    assert found.report_bytes == 1200.0


def test_what_breaks_first_comes_first():
    crowded = replace(ROUND, answers_hz=0.1, lookups=4.0)
    times = breaks_first(Cluster(1, 1, 1, 4, 100.0), crowded)
    assert next(iter(times)) == "look-ups of the file system"
    assert list(times.values()) == sorted(times.values())


def test_a_server_serves_in_turn():
    server = Server()
    assert [server.serve(at, 3.0) for at in (0.0, 1.0, 10.0)] == [3.0, 6.0, 13.0]
    assert (server.busy_s, server.longest_wait_s) == (9.0, 2.0)
