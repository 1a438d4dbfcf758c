"""The plan: what will be measured, in which order, and how long that takes."""

import json

import pytest
from tests.llm_energy.make_campaigns import changed, load, with_experiments

from llm_energy.runs.concurrency import Concurrency
from llm_energy.workflow.plan import expected_duration_s, make_plan, phases_s
from llm_energy.workflow.plan_text import as_text


def write_result(results, planned, *, started, finished):
    path = results / planned.result_path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"started": started, "finished": finished}))


def planned_of(campaign, experiment):
    return [planned for planned in campaign.schedule if planned.experiment is experiment]


@pytest.fixture
def campaign(root):
    return load(root)


def test_without_results_the_phases_say_how_long_a_measurement_takes(campaign, tmp_path):
    experiment = campaign.experiments[0]
    assert phases_s(campaign) == 2 + 5 + 3 + 1
    assert expected_duration_s(experiment, campaign, tmp_path) == (11, "phases")


def test_earlier_results_of_the_same_spec_say_it_better(campaign, tmp_path):
    experiment = campaign.experiments[0]
    first, second = planned_of(campaign, experiment)
    write_result(tmp_path, first, started="2026-01-01T00:00:00Z", finished="2026-01-01T00:00:20Z")
    write_result(
        tmp_path, second, started="2026-01-01T23:59:50Z", finished="2026-01-02T00:00:30+00:00"
    )
    assert expected_duration_s(experiment, campaign, tmp_path) == (30, "results")
    assert expected_duration_s(campaign.experiments[1], campaign, tmp_path) == (11, "phases")


def test_a_file_that_is_no_result_says_nothing(campaign, tmp_path):
    experiment = campaign.experiments[0]
    for planned, content in zip(
        planned_of(campaign, experiment), ("{", '{"started": 3}'), strict=True
    ):
        path = tmp_path / planned.result_path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert expected_duration_s(experiment, campaign, tmp_path) == (11, "phases")


def test_only_what_has_no_result_takes_time(campaign, tmp_path):
    assert make_plan(campaign, tmp_path).remaining_s == 8 * 11
    done = campaign.schedule[0]
    write_result(tmp_path, done, started="2026-01-01T00:00:00Z", finished="2026-01-01T00:00:20Z")
    plan = make_plan(campaign, tmp_path)
    assert plan.remaining_s == 6 * 11 + 20
    measured = {row.experiment: row.measured for row in plan.rows}
    assert measured[done.experiment.name] == 1
    assert sum(measured.values()) == 1


def test_allocations_of_a_cluster_share_the_rest(campaign, tmp_path):
    plan = make_plan(campaign, tmp_path, concurrency=Concurrency(1, allocations=4))
    expected = "for the rest: 44 s with 2 allocations at a time, 88 s with one after another (from"
    assert expected in as_text(plan)


def test_the_reference_takes_time_once_more_where_the_rest_is_measured_without_it(root, tmp_path):
    name = "sweep_batch1_out16"
    campaign = load(root, changed(lambda config: config.update(reference=name)))
    assert make_plan(campaign, tmp_path).anchor is None
    for planned in planned_of(campaign, campaign.experiment(name)):
        times = {"started": "2026-01-01T00:00:00Z", "finished": "2026-01-01T00:00:20Z"}
        write_result(tmp_path, planned, **times)
    plan = make_plan(campaign, tmp_path)
    assert plan.remaining_s == 6 * 11 + 20
    assert f"As an anchor between sessions: {name} once more\n" in as_text(plan)


def test_places_are_those_of_the_schedule(campaign, tmp_path):
    rows = {row.experiment: row for row in make_plan(campaign, tmp_path).rows}
    for planned in campaign.schedule:
        place = rows[planned.experiment.name].ranks[planned.cycle - 1]
        assert campaign.schedule[(planned.cycle - 1) * len(rows) + place - 1] is planned


def test_the_table_shows_what_varies_and_is_aligned(root, tmp_path):
    groups = with_experiments(
        toy={"axes": {"engine.toy.threads": [1, 2]}}, boxy={"settings": {"backend": "boxy"}}
    )
    text = as_text(make_plan(load(root, groups), tmp_path))
    above, _, table = text.partition("\n\n")
    summary, expected, *same = above.splitlines()
    header, *rows = table.splitlines()
    assert summary.startswith("Campaign trial: 3 experiments × 2 cycles = 6 measurements, 0 of")
    assert expected.startswith("Expected time for the rest: 66 s (from the least length")
    assert "output_tokens" in same[0]
    assert any(line.startswith("The same for toy: gain 1, cache false, ") for line in same)
    assert max(map(len, text.splitlines())) <= 120
    assert header.split()[:3] == ["experiment", "backend", "threads"]
    assert [row.split()[0] for row in rows] == ["toy_threads1", "toy_threads2", "boxy"]
    for column in ("backend", "spec", "expected", "place"):
        start = header.index(column)
        assert all(row[start - 1] == " " and row[start] != " " for row in rows)


def test_what_only_some_experiments_set_is_not_the_same_for_all(root, tmp_path):
    gpu = {"settings": {"gpu": {"power_limit_watts": 300}}}
    groups = with_experiments(plain={}, limited=gpu) | {"measurement": {"device": "gpu"}}
    text = as_text(make_plan(load(root, groups), tmp_path))
    above, _, table = text.partition("\n\n")
    assert "power_limit" not in above
    assert "power_limit_watts" in table


def test_a_table_that_is_too_wide_has_its_settings_below_each_row(root, tmp_path):
    groups = {
        f"group-with-a-long-name-that-takes-much-room-number-{number}": {
            "settings": {
                "output_tokens": 16 + number,
                "context_tokens": 400 + number,
                "sampling": {"temperature": 0.1 * number, "seed": number},
                "engine": {"toy": {"threads": 1 + number, "gain": 1.0 + number}},
            },
        }
        for number in range(3)
    }
    text = as_text(make_plan(load(root, with_experiments(**groups)), tmp_path))
    assert max(map(len, text.splitlines())) <= 120
    table = text.partition("\n\n")[2].splitlines()
    assert len(table) == 1 + 2 * 3
    assert table[2].startswith("  output_tokens 16, context_tokens 400, ")
    assert "threads 3, gain 3" in table[6]


def test_many_cycles_are_cut_in_the_plan(root, tmp_path):
    campaign = load(root, changed(lambda config: config.update(cycles=400)))
    text = as_text(make_plan(campaign, tmp_path))
    assert max(map(len, text.splitlines())) <= 120
    assert all(line.endswith(" …") for line in text.partition("\n\n")[2].splitlines()[1:])


def test_two_stages_are_planned_as_the_first_and_what_may_follow(root, tmp_path):
    stages = {"first": 3, "maximum": 10, "target_relative_half_width": 0.015}
    campaign = load(root, changed(lambda config: config.update(cycles=stages)))
    plan = make_plan(campaign, tmp_path)
    assert (plan.remaining_s, plan.at_most_s) == (4 * 3 * 11, 4 * 10 * 11)
    assert all(len(row.ranks) == row.cycles == 3 for row in plan.rows)
    first, _, further, *_ = as_text(plan).splitlines()
    assert first.startswith("Campaign trial: 4 experiments × 3 cycles = 12 measurements, 0 of")
    assert further == (
        "After the first 3 cycles each goes on to as many as ±1.5 % of its mean needs: "
        "40 measurements and 7 min at most"
    )


def test_the_text_says_where_the_expected_time_comes_from(campaign, tmp_path):
    def source():
        return as_text(make_plan(campaign, tmp_path)).splitlines()[1].partition("(")[2]

    assert source() == "from the least length of their phases, without loading)"
    for number, experiment in enumerate(campaign.experiments, start=1):
        planned = planned_of(campaign, experiment)[0]
        write_result(
            tmp_path, planned, started="2026-01-01T00:00:00Z", finished="2026-01-01T00:00:20Z"
        )
        if number == 1:
            assert source().startswith("1 of 4 experiments from earlier results, the others from")
    assert source() == "from earlier results)"
