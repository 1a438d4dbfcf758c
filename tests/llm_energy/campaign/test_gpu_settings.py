"""Power limit and clocks of GPUs as settings that vary."""

import pytest
from tests.llm_energy.make_campaigns import load, mistakes, with_experiments

GPU = {"measurement": {"device": "gpu"}}


def campaign(settings=None, **axes):
    group = {"settings": settings or {}, "axes": {f"gpu.{k}": v for k, v in axes.items()}}
    return with_experiments(one=group) | GPU


def test_a_limit_identifies_an_experiment_and_its_engine_process(root):
    axes = {"power_limit_watts.of_default": [1, 0.7]}
    first, second = load(root, campaign(**axes)).experiments
    assert (first.name, second.name) == ("one_limit1", "one_limit0.7")
    assert second.spec["settings"]["gpu"] == {"power_limit_watts": {"of_default": 0.7}}
    assert first.spec_hash != second.spec_hash
    assert first.engine_key != second.engine_key


def test_an_experiment_that_sets_nothing_is_what_it_was(root):
    (plain,) = load(root, campaign()).experiments
    assert "gpu" not in plain.spec["settings"]


def test_agreeing_to_a_reset_identifies_nothing(root):
    clock = {"gpu": {"sm_clock_mhz": 1200, "restore": "reset"}}
    (experiment,) = load(root, campaign(clock)).experiments
    assert experiment.spec["settings"]["gpu"] == {"sm_clock_mhz": 1200}


def test_a_clock_may_have_a_range_of_which_a_bound_varies(root):
    own = {"gpu": {"sm_clock_mhz": {"from": 210, "to": 1980}, "restore": "reset"}}
    first, second = load(root, campaign(own, **{"sm_clock_mhz.to": [1500, 900]})).experiments
    assert (first.name, second.name) == ("one_sm-to1500", "one_sm-to900")
    assert second.spec["settings"]["gpu"] == {"sm_clock_mhz": {"from": 210, "to": 900}}
    (single,) = load(root, campaign(own, sm_clock_mhz=[1200])).experiments
    assert single.spec["settings"]["gpu"] == {"sm_clock_mhz": 1200}


@pytest.mark.parametrize(
    ("settings", "axes", "expected"),
    [
        ({"gpu": {"power_limit_watts": 300}}, {"power_limit_watts.of_default": [0.7]}, 0.7),
        ({"gpu": {"power_limit_watts": {"of_default": 0.7}}}, {"power_limit_watts": [300]}, 300),
    ],
)
def test_a_later_value_wins_whatever_its_form(root, settings, axes, expected):
    (experiment,) = load(root, campaign(settings, **axes)).experiments
    found = experiment.spec["settings"]["gpu"]["power_limit_watts"]
    assert found in (expected, {"of_default": expected})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (campaign(sm_clock_mhz=[900, 1200]), "agree: `gpu: {restore: reset}`"),
        (campaign(power_limit_watts=[300]) | {"measurement": {}}, "needs `measurement: {device"),
        (campaign({"gpu": {"power_limit_watts": "low"}}), "must be a number, or {of_default: 0.7}"),
        (campaign({"gpu": {"power_limit_watts": {"of_default": 3}}}), "must be at most 2, not 3"),
        (campaign(power_limit=[300]), "did you mean gpu.power_limit_watts"),
        (campaign({"gpu": {"sm_clock_mhz": "low"}}), "or {from: 900, to: 1500}"),
        (
            campaign({"gpu": {"restore": "reset"}}, **{"sm_clock_mhz.to": [1500]}),
            "needs both `from` and `to`",
        ),
        (
            campaign({"gpu": {"restore": "reset", "sm_clock_mhz": {"from": 1500, "to": 900}}}),
            "lies above `to`, 900 MHz; swap them",
        ),
        (
            campaign(**{"power_limit_watts": [300], "power_limit_watts.of_default": [0.7]}),
            "are two forms of one setting; vary one of them",
        ),
    ],
)
def test_mistakes_are_one_line(root, config, message):
    (found,) = mistakes(root, config)
    assert message in found
