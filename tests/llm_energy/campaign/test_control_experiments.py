"""Controls of a campaign: what they measure, and that nothing else changes for them."""

import pytest
from tests.llm_energy.make_campaigns import BASE, changed, load, mistakes, specs, with_experiments

from llm_energy.campaign.pilot_config import pilot_config

ALL = {"a_a": True, "idle": True, "sampler_off": True}
FIRST = "sweep_batch1_out16"


def controlled(**changes):
    return BASE | {"controls": ALL} | changes


def test_none_are_made_unless_they_are_requested(root):
    campaign = load(root)
    assert campaign.controls == ()
    assert campaign.design["controls"] == []


def test_they_are_made_of_the_reference_or_else_of_the_first_experiment(root):
    assert {control.base for control in load(root, controlled()).controls} == {FIRST}
    other = load(root, controlled(reference="sweep_batch4_out48"))
    assert {control.base for control in other.controls} == {"sweep_batch4_out48"}


def test_two_of_them_are_measured_in_every_cycle(root):
    campaign, plain = load(root, controlled()), load(root)
    names = [f"{FIRST}.a_a", f"{FIRST}.sampler_off"]
    assert [e.name for e in campaign.experiments] == [e.name for e in plain.experiments] + names
    for name in names:
        assert [
            planned.cycle for planned in campaign.schedule if planned.experiment.name == name
        ] == [1, 2]
    assert [c.experiment for c in campaign.controls] == [names[0], FIRST, names[1]]


def test_the_others_keep_their_identity_and_their_order(root):
    campaign, plain = load(root, controlled()), load(root)
    assert specs(plain).items() <= specs(campaign).items()
    kept = [planned for planned in campaign.schedule if planned.experiment.control is None]
    assert [c.result_path for c in kept] == [c.result_path for c in plain.schedule]


def test_an_a_a_control_is_a_replicate_in_an_engine_process_of_its_own(root):
    campaign = load(root, controlled())
    base, replicate = campaign.experiment(FIRST), campaign.experiment(f"{FIRST}.a_a")
    assert replicate.spec == {**base.spec, "replicate": 2}
    assert replicate.spec_hash != base.spec_hash
    assert replicate.settings == base.settings
    assert replicate.engine_key not in {
        e.engine_key for e in campaign.experiments if e is not replicate
    }


def test_without_the_sampler_it_is_another_measurement_in_the_same_process(root):
    campaign = load(root, controlled())
    base, off = campaign.experiment(FIRST), campaign.experiment(f"{FIRST}.sampler_off")
    assert off.spec == {**base.spec, "sampler": "off"}
    assert off.spec_hash != base.spec_hash
    assert off.engine_key == base.engine_key
    assert [e.name for e in campaign.experiments if not e.sampled] == [off.name]


def test_no_comparison_along_an_axis_knows_of_them(root):
    assert load(root, controlled()).contrasts == load(root).contrasts


def test_a_pilot_has_them_too(root):
    assert len(load(root, pilot_config(controlled())).controls) == 3


def test_no_idle_phase_has_no_idle_control(root):
    config = changed(lambda c: c.update(controls=ALL, measurement={"baseline_s": 0.0}))
    (found,) = mistakes(root, config)
    assert found == "controls.idle: there is no idle phase; set measurement.baseline_s above 0"


@pytest.mark.parametrize("controls", [{}, {"a_a": True}])
@pytest.mark.parametrize("kind", ["a_a", "sampler_off", "neighbours"])
def test_no_experiment_has_the_name_of_a_control(root, kind, controls):
    config = with_experiments(x={}, **{f"x.{kind}": {"settings": {"batch_size": 2}}})
    (found,) = mistakes(root, config | {"controls": controls})
    assert found == f"experiments.x.{kind}: x.{kind} is a name of a control; rename the group"


def test_a_reference_that_does_not_exist_is_reported_once(root):
    assert len(mistakes(root, controlled(reference="sweep"))) == 1
