"""Every expected time counts what is measured alone as keeping all other sets idle."""

from datetime import UTC, datetime

import pytest
from tests.llm_energy.make_campaigns import load, with_experiments
from tests.llm_energy.make_results import make_result, put_result

from llm_energy.backends.runtime import SCRIPTS
from llm_energy.campaign.pilot_config import pilot_config
from llm_energy.runs.concurrency import Concurrency
from llm_energy.runs.progress import progress_of
from llm_energy.runs.run_records import DeviceSet, PlanEntry, Spread
from llm_energy.workflow.announcement import announcement
from llm_energy.workflow.pilot import findings
from llm_energy.workflow.plan import make_plan, phases_s
from llm_energy.workflow.run_entry import enter_run
from llm_energy.workflow.status import Standing, left_s, standings

SPREAD = Spread(
    "gpu", new_device=True, sets=tuple(DeviceSet((f"GPU-{n}",)) for n in range(4)), at_once=4
)
ON_FOUR = Concurrency(4, SPREAD)


@pytest.fixture
def config(own_root):
    """One experiment and its control `neighbours`, in four cycles."""
    (own_root / "envs/toy/Dockerfile").write_text("FROM debian@sha256:12\n")
    timing = {"device": "gpu", "minimum_duration_s": 10.0, "baseline_s": 5.0, "warmup_cap_s": 30.0}
    return with_experiments(one={"settings": {"batch_size": 2}}) | {
        "cycles": 4,
        "measurement": timing,
        "parallel": {},
        "controls": {"neighbours": True},
    }


@pytest.fixture
def campaign(own_root, config):
    return load(own_root, config)


@pytest.fixture
def five_s(campaign):
    """The time of one measurement on all sets at once, and of four alone."""
    return 5 * phases_s(campaign)


def test_in_the_plan(campaign, five_s, tmp_path):
    plan = make_plan(campaign, tmp_path / "results", concurrency=ON_FOUR)
    assert (plan.remaining_s, plan.at_most_s, plan.in_turn_s) == (five_s, five_s, five_s)


def test_in_the_announcement(campaign, five_s, tmp_path):
    _, measure = announcement(
        [], campaign.schedule, campaign=campaign, results=tmp_path, concurrency=ON_FOUR
    )
    assert f"about {round(five_s / 60)} min without loading" in measure


def test_in_the_findings_of_a_pilot(own_root, campaign, config, tmp_path):
    pilot = load(own_root, pilot_config(config))
    for planned in pilot.schedule:
        made = make_result(planned.experiment.name, cycle=planned.cycle, metered=True)
        put_result(tmp_path / planned.result_path, made)
    # each takes 11 s, as the campaign's durations are those of its pilot
    time = findings(campaign, pilot, tmp_path, concurrency=ON_FOUR)[-1]
    assert time == "  Expected time for 4 cycles: 55 s (estimate)"


def test_in_the_status(campaign, five_s, tmp_path):
    rows = standings(campaign, tmp_path / "results")
    left = left_s(campaign, rows, now=datetime.now(UTC), concurrency=ON_FOUR)
    assert left == five_s


def test_what_waits_has_all_its_time_left(campaign):
    planned = next(planned for planned in campaign.schedule if planned.experiment.alone)
    row = Standing(
        0,
        planned.experiment.name,
        planned.cycle,
        planned.experiment.spec_hash,
        planned.result_path,
        status="running",
        reason="waits for all other sets to end",
        started="2026-01-01T00:00:00+00:00",
    )
    now = datetime(2026, 1, 1, 0, 0, 4, tzinfo=UTC)
    assert left_s(campaign, [row], now=now, concurrency=ON_FOUR) == phases_s(campaign)


def test_in_the_lines_of_a_run(campaign, five_s, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = tmp_path / "results/trial"
    run = enter_run(
        campaign,
        campaign.schedule,
        campaign.experiments,
        results=results,
        scripts=SCRIPTS,
        undecided=(),
    )
    run.write("spread", SPREAD)
    plan = run.read("plan", tuple[PlanEntry, ...])
    assert progress_of(run, results=results, whole_plan=plan).left_s == five_s
    run.remove()
