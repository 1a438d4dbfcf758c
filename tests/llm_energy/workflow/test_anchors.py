"""A session that adds to a campaign without its reference measures that once more."""

import pytest
from tests.llm_energy.make_campaigns import changed, load, make_checkout
from tests.llm_energy.make_results import (
    EXPERIMENTS,
    REFERENCE,
    design,
    make_result,
    path_of,
    put_result,
)

from llm_energy.analysis.aggregate import aggregate
from llm_energy.system.numbers import number
from llm_energy.workflow.anchors import anchors


@pytest.fixture
def campaign(tmp_path):
    config = changed(lambda config: config.update(reference="sweep_batch1_out16"))
    return load(make_checkout(tmp_path / "checkout"), config)


def needed(campaign, results, *, without=()):
    """Paths of the anchors, where all that is not there is measured."""
    missing = [
        planned
        for planned in campaign.schedule
        if planned.experiment.name not in without and not (results / planned.result_path).exists()
    ]
    found = anchors(campaign, lambda path: (results / path).exists(), to_measure=missing)
    return [anchor.result_path for anchor in found]


def touch(results, path):
    (results / path).parent.mkdir(parents=True, exist_ok=True)
    (results / path).touch()


def test_the_first_session_needs_none(campaign, tmp_path):
    assert needed(campaign, tmp_path) == []


def test_a_session_that_measures_the_reference_needs_none(campaign, tmp_path):
    first = next(c for c in campaign.schedule if c.experiment.name == campaign.reference)
    touch(tmp_path, first.result_path)
    assert needed(campaign, tmp_path) == []


def test_a_session_without_it_needs_the_next_one_and_the_earlier_stay(campaign, tmp_path):
    for planned in campaign.schedule:
        if planned.experiment.name == campaign.reference:
            touch(tmp_path, planned.result_path)
    (one,) = needed(campaign, tmp_path)
    spec = campaign.experiment(campaign.reference).spec_hash
    assert one == f"anchors/{spec}/cycle-01.json"
    touch(tmp_path, one)
    _, two = needed(campaign, tmp_path)
    assert two.endswith("cycle-02.json")
    names = [experiment.name for experiment in campaign.experiments]
    assert needed(campaign, tmp_path, without=names) == [one]


def test_without_a_reference_there_is_nothing_to_anchor(tmp_path):
    campaign = load(make_checkout(tmp_path / "checkout"))
    assert anchors(campaign, lambda _: False, to_measure=campaign.schedule) == []


def in_session(session, name, cycle, **changes):
    result = make_result(name, cycle=cycle, position=cycle, settings=EXPERIMENTS[name], **changes)
    environment = result.environment.model_copy(update={"session_id": session})
    return result.model_copy(update={"environment": environment})


def test_its_ratio_stands_beside_comparisons_across_sessions(tmp_path):
    other = list(EXPERIMENTS)[1]
    results = [in_session("old", REFERENCE, cycle) for cycle in (1, 2, 3)]
    results += [in_session("new", other, cycle) for cycle in (1, 2, 3)]
    for result in results:
        put_result(tmp_path / path_of(result), result)
    anchor = in_session("new", REFERENCE, 1, output_tokens_per_second=50.0)
    path = path_of(anchor).replace("measurements/", "anchors/")
    put_result(tmp_path / path, anchor)
    planned = [path_of(result) for result in results]
    findings = aggregate(tmp_path, planned=planned, design=design()).findings
    (ratio,) = findings.anchors
    assert (ratio.experiment, ratio.session_id, ratio.earlier) == (REFERENCE, "new", 3)
    earlier = [r.output_tokens_per_second for r in results[:3]]
    assert ratio.ratio == pytest.approx(50.0 / (earlier[0] * earlier[1] * earlier[2]) ** (1 / 3))
    (said,) = [c.sentence for c in findings.comparisons if c.metric == "output_tokens_per_second"]
    assert said.endswith(f"; {REFERENCE} again in the later session: {number(ratio.ratio)}×")
    assert findings.planned == findings.completed == 6  # it is no cycle


def test_a_damaged_anchor_is_reported_and_stops_nothing(tmp_path):
    result = in_session("old", REFERENCE, 1)
    put_result(tmp_path / path_of(result), result)
    path = path_of(result).replace("measurements/", "anchors/")
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text("{")
    findings = aggregate(tmp_path, planned=[path_of(result)], design=design()).findings
    (gap,) = findings.side_file_gaps
    assert gap.path == path
