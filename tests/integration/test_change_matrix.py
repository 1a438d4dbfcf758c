"""A change measures again exactly what it must.

Every case starts from a campaign of two experiments × two cycles that was measured to its end. Most
look at the graph of jobs that Snakemake makes of the changed tree; a few run it.
"""

import copy
import csv
import json
import re
from pathlib import Path

import pytest

from llm_energy.campaign.identity import PROTOCOL_VERSION
from tests.integration.workflow import CAMPAIGN, changed, finished, wait_for

pytestmark = pytest.mark.integration


def test_the_first_run_measures_everything_in_the_planned_order(measured_template):
    tree = measured_template
    assert finished(tree.printed) == tree.plan()
    assert len(tree.results()) == 4
    assert (tree.folder / "results/nap/report.html").exists()
    with (tree.folder / "results/nap/summary/measurements.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["actual_place"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["planned_place"] for row in rows] == ["1", "2", "3", "4"]


def test_nothing_changed_means_nothing_to_do_and_no_long_loading(measured):
    done = measured.run(check=True, environment={"PYTHONPROFILEIMPORTTIME": "1"})
    assert "Nothing to be done" in done.stdout
    assert re.search(r"\| +pydantic$", done.stdout, re.MULTILINE)
    assert not re.search(r"\| +(pandas|matplotlib|docker)$", done.stdout, re.MULTILINE)
    assert measured.runs() == []


def test_a_deleted_result_is_measured_again_and_nothing_else(measured):
    gone = measured.results()[0]
    gone.unlink()
    assert measured.graph().measurements == [measured.named(gone)]
    printed = measured.run("--dry-run", check=True).stdout  # the command itself says the same
    assert re.search(r"^measure +1$", printed, re.MULTILINE)


def test_a_value_added_to_an_axis_measures_only_the_new_experiment(measured):
    measured.write_campaign(changed(experiments={"nap": {"axes": {"batch_size": [1, 2, 4]}}}))
    assert measured.graph().measurements == [("nap_batch4", 1), ("nap_batch4", 2)]


def test_an_added_cycle_measures_only_that_cycle(measured):
    measured.write_campaign(changed(cycles=3))
    assert sorted(measured.graph().measurements) == [("nap_batch1", 3), ("nap_batch2", 3)]


def test_a_changed_experiment_is_measured_again_and_changed_back_it_counts_again(measured):
    # one group for each experiment, so that one can change without the other
    apart = {"one": {}, "two": {"settings": {"batch_size": 2}}}
    measured.write_campaign(changed(experiments=apart))
    assert measured.planned() == 0
    apart["two"]["settings"]["output_tokens"] = 6
    measured.write_campaign(changed(experiments=apart))
    assert sorted(measured.graph().measurements) == [("two", 1), ("two", 2)]
    del apart["two"]["settings"]["output_tokens"]
    measured.write_campaign(changed(experiments=apart))
    assert measured.planned() == 0


def test_the_name_of_an_experiment_is_a_target(measured):
    for path in measured.results():
        path.unlink()
    assert sorted(measured.graph("nap_batch2").measurements) == [
        ("nap_batch2", 1),
        ("nap_batch2", 2),
    ]
    both = sorted(measured.graph("nap_batch1", "nap_batch2").measurements)
    assert both == sorted(measured.plan())


@pytest.mark.parametrize(
    "change",
    [
        {"assumptions": {"electricity": {"price_per_kwh": 0.3, "currency": "EUR"}}},
        {"experiments": {"nap": {"axes": {"batch_size": [1]}}}},
        {"experiments": {"nap": {"axes": {"batch_size": [1]}}}, "cycles": 1},
    ],
    ids=["an assumption", "an experiment that is dropped", "a cycle that is dropped"],
)
def test_what_measures_nothing_makes_the_summary_again(measured, change):
    measured.write_campaign(changed(**change))
    assert "report" in measured.graph().rules
    assert measured.planned() == 0


def test_a_dropped_experiment_that_no_comparison_names_makes_the_summary_again(measured):
    """Though the design is the same with it and without it."""
    apart = {"one": {}, "two": {"settings": {"batch_size": 2}}}
    measured.write_campaign(changed(experiments=apart, cycles=1))
    measured.run("report", check=True)
    summary = measured.folder / "results/nap/summary/experiments.csv"
    assert "two" in summary.read_text()
    assert measured.graph("report").rules == set()
    del apart["two"]
    measured.write_campaign(changed(experiments=apart, cycles=1))
    assert "report" in measured.graph("report").rules
    assert measured.planned() == 0


def test_a_new_summary_holds_what_the_campaign_says_now_and_the_results_that_are_there(measured):
    """A result that came in place of another counts whatever the age of the others."""
    summary = measured.folder / "results/nap/summary"
    design = json.loads((summary / "summary.json").read_text())["design"]
    assert design["assumptions"]["electricity"] is None
    replaced = measured.of("nap_batch1")[0]
    result = json.loads(replaced.read_text())
    replaced.write_text(json.dumps(result | {"output_tokens_per_second": 12.25}))
    measured.results()[-1].touch()
    assert "report" in measured.graph().rules
    price = {"price_per_kwh": 0.3, "currency": "EUR"}
    dropped = {"nap": {"axes": {"batch_size": [1]}}}
    measured.write_campaign(changed(assumptions={"electricity": price}, experiments=dropped))
    assert finished(measured.run("report", check=True).stdout) == []
    assert "12.25" in (summary / "measurements.csv").read_text()
    design = json.loads((summary / "summary.json").read_text())["design"]
    assert design["assumptions"]["electricity"] == price
    assert "nap_batch1" in (summary / "experiments.csv").read_text()
    assert "nap_batch2" not in (summary / "experiments.csv").read_text()
    assert measured.graph("report").rules == set()
    assert len(measured.results()) == 4


def test_an_event_after_the_report_makes_it_again_once_and_measures_nothing(measured):
    (record,) = (measured.folder / "results/nap/runs").glob("*.json")
    late = {"time": "2026-01-01T00:00:00Z", "kind": "backend_restarted", "backend": "sleep"}
    record.write_text(json.dumps(json.loads(record.read_text()) | {"events": [late]}))
    line = "The report lacks events that 1 run recorded after it was made"
    assert line in measured.run("status", check=True).stdout
    for target in ((), ("archive",)):
        assert measured.graph(*target).rules - {"all", "archive"} == {"report"}
    done = measured.run("report", check=True).stdout
    assert finished(done) == []
    assert line not in done
    assert "was restarted" in (measured.folder / "results/nap/report.html").read_text()
    assert measured.graph().rules == set()
    assert line not in measured.run("status", check=True).stdout


def test_two_values_that_swap_places_are_seen(measured):
    swapped = copy.deepcopy(CAMPAIGN)
    swapped["defaults"]["sampling"] = {"top_k": 3, "seed": 7}
    measured.write_campaign(swapped)
    graph = measured.graph()
    swapped["defaults"]["sampling"] = {"top_k": 7, "seed": 3}
    measured.write_campaign(swapped)
    assert measured.planned() == 4
    assert not graph.specifications & measured.graph().specifications


def test_prompts_that_two_campaigns_share_are_made_once_and_must_fit_both(measured):
    """A job that runs again takes its file away, while another campaign may read it."""
    other = changed(campaign="other")
    other["defaults"]["output_tokens"] = 5
    measured.write_campaign(other)
    rules = measured.graph("measurements").rules
    assert "measure" in rules
    assert "prompts" not in rules
    (environment,) = measured.folder.glob(".cache/environments/*/ready.json")
    environment.rename(environment.with_suffix(".kept"))  # as that of another tokenizer may be
    rules = measured.graph("measurements").rules
    assert "environment" in rules or "interpreter" in rules, rules
    assert "prompts" not in rules
    environment.with_suffix(".kept").rename(environment)
    other["defaults"]["context_tokens"] = 6
    measured.write_campaign(other)
    message = "does not fit the experiments with output_tokens 5 and context_tokens 6"
    assert message in measured.refusal("measurements")
    assert measured.results("other") == []


def test_prompts_that_are_there_stay_until_others_are_made(measured):
    """Snakemake removes what a job makes before the job begins; others read these meanwhile."""
    (prompts,) = measured.folder.glob(".cache/prompts/*/prompts.json")
    before = prompts.read_bytes()
    (python,) = measured.folder.glob(".cache/environments/*/venv/bin/python")
    python.unlink()
    python.symlink_to("/bin/false")  # nothing can be tokenised
    done = measured.run("inputs", "--forcerun", "prompts")
    assert done.returncode != 0
    assert "prompts" in done.stdout
    assert prompts.read_bytes() == before


def two_backends():
    return changed(
        backends={"sleep": {}, "doze": {}},
        experiments={"nap": {"axes": {"backend": ["sleep", "doze"]}}},
    )


def test_a_changed_pin_measures_its_backend_again_and_no_other(fresh):
    fresh.add_backend("doze")
    fresh.write_campaign(two_backends())
    before = fresh.graph().specifications
    pins = fresh.folder / "envs" / "doze" / "requirements.txt"
    pins.write_text(pins.read_text() + "# pinned anew\n")
    assert fresh.graph().specifications == before  # a comment pins nothing
    pins.write_text(pins.read_text() + "--no-binary :none:\n")
    new = fresh.graph().specifications - before
    assert {name for name, _ in new} == {"nap_doze"}


def test_a_raised_protocol_version_measures_everything_again(measured):
    path = measured.folder / "scripts/llm_energy/campaign/identity.py"
    text = path.read_text()
    line = f"PROTOCOL_VERSION = {PROTOCOL_VERSION}\n"
    assert line in text
    path.write_text(text.replace(line, f"PROTOCOL_VERSION = {PROTOCOL_VERSION + 1}\n"))
    assert measured.planned() == 4


def test_a_resumed_run_goes_on_in_the_planned_order(ready):
    """Killed between the backends of its first cycle; both are cold before and afterwards."""
    ready.add_backend("doze")
    ready.write_campaign(two_backends() | {"cycles": 3})
    assert ready.graph().measurements == ready.plan()
    process = ready.start("measurements")
    wait_for(lambda: finished(ready.output()) or process.poll() is not None, why=ready.output())
    process.kill()
    process.wait()
    wait_for(lambda: not ready.processes(), why="the killed run's processes live on")
    done = len(ready.results())
    assert finished(ready.output()) == ready.plan()[: len(finished(ready.output()))]
    assert ready.measured() == ready.plan()[done:]


def test_what_remains_keeps_its_order(measured):
    plan = measured.plan()
    folder = Path(measured.folder, "results/nap")
    gone = [planned for planned in measured.campaign().schedule if planned.position in (0, 2, 3)]
    for planned in gone:
        (folder / planned.result_path).unlink()
    assert measured.graph().measurements == [plan[0], plan[2], plan[3]]
