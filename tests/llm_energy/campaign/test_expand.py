"""The grammar of experiments: which points a group has, and what they are called."""

import re
from itertools import product
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy.make_campaigns import load, with_experiments

from llm_energy.campaign.campaign_file import Group, Range
from llm_energy.campaign.expand import expand, experiment_name, values_of
from llm_energy.campaign.problems import Problems


def points(group, name="x"):
    problems = Problems()
    found = expand(name, Group.model_validate(group), problems)
    assert not len(problems)
    return found


def names(group):
    return [point.name for point in points(group)]


def test_a_group_without_axes_is_one_experiment_with_its_name():
    assert names({"settings": {"batch_size": 2}}) == ["x"]


def test_axes_make_every_combination_the_first_axis_slowest():
    group = {"axes": {"batch_size": [1, 4], "output_tokens": [16, 48]}}
    assert names(group) == [
        "x_batch1_out16",
        "x_batch1_out48",
        "x_batch4_out16",
        "x_batch4_out48",
    ]


def test_linked_settings_vary_together_as_one_axis():
    group = {
        "axes": {"batch_size": [1, 2]},
        "linked": [{"context_tokens": [512, 1024], "prompts": ["short", "long"]}],
    }
    assert [dict(point.factors) for point in points(group)] == [
        {"batch_size": batch, "context_tokens": context, "prompts": prompts}
        for batch in (1, 2)
        for context, prompts in ((512, "short"), (1024, "long"))
    ]


def test_a_value_may_repeat_in_linked_settings():
    linked = [{"backend": ["one", "two", "three"], "dtype": ["auto", "float32", "float32"]}]
    assert names({"linked": linked}) == ["x_one_auto", "x_two_float32", "x_three_float32"]


def test_exclude_drops_all_points_that_agree_with_it():
    axes = {"batch_size": [1, 4], "output_tokens": [16, 48]}
    assert names({"axes": axes, "exclude": [{"batch_size": 4.0}]}) == [
        "x_batch1_out16",
        "x_batch1_out48",
    ]
    assert "x_batch4_out48" not in names(
        {"axes": axes, "exclude": [{"batch_size": 4, "output_tokens": 48}]}
    )


def test_include_adds_points_whose_labels_stand_in_the_order_of_the_axes():
    group = {
        "axes": {"batch_size": [1], "output_tokens": [16]},
        "include": [{"sampling.seed": 3, "output_tokens": 8, "batch_size": 8}],
    }
    assert names(group) == ["x_batch1_out16", "x_batch8_out8_seed3"]


@pytest.mark.parametrize(
    ("key", "value", "label"),
    [
        ("batch_size", 4, "batch4"),
        ("batch_size", 4.0, "batch4"),
        ("output_tokens", 16, "out16"),
        ("context_tokens", 512, "ctx512"),
        ("backend", "vllm", "vllm"),
        ("model", "smollm2-135m", "smollm2-135m"),
        ("prompts", "everyday", "everyday"),
        ("dtype", "bfloat16", "bfloat16"),
        ("load_mode", "closed", "closed"),
        ("sampling.temperature", 0.7, "temperature0.7"),
        ("engine.llamacpp.threads", 2, "threads2"),
        ("engine.vllm.enforce_eager", True, "enforce-eagertrue"),
        ("engine.vllm.path", "../../etc", "path..-..-etc"),
    ],
)
def test_labels(key, value, label):
    assert experiment_name("x", {key: value}) == f"x_{label}"


@given(st.dictionaries(st.from_regex(r"[a-z_.]{1,9}", fullmatch=True), st.text() | st.floats()))
def test_no_name_leaves_the_folder_of_the_results(factors):
    name = experiment_name("group", factors)
    assert re.fullmatch(r"group(_[A-Za-z0-9.-]*)*", name)


@given(
    st.lists(st.integers(1, 64), min_size=1, max_size=4, unique=True),
    st.lists(st.integers(1, 64), min_size=1, max_size=4, unique=True),
    st.integers(65, 99),
)
def test_adding_a_value_renames_nothing_and_keeps_the_order(batches, lengths, more):
    before = names({"axes": {"batch_size": batches, "output_tokens": lengths}})
    after = names({"axes": {"batch_size": [*batches, more], "output_tokens": lengths}})
    assert before == [f"x_batch{b}_out{n}" for b, n in product(batches, lengths)]
    assert after[: len(before)] == before


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"from": 1, "to": 32, "factor": 2}, [1, 2, 4, 8, 16, 32]),
        ({"from": 1, "to": 31, "factor": 2}, [1, 2, 4, 8, 16]),
        ({"from": 16, "to": 64, "step": 16}, [16, 32, 48, 64]),
        ({"from": 0.1, "to": 0.3, "step": 0.1}, [0.1, 0.2, 0.3]),
        ({"from": 5, "to": 5, "step": 1}, [5]),
        ({"from": -1, "to": 1, "step": 1}, [-1, 0, 1]),
    ],
)
def test_ranges_hold_both_ends_where_they_are_reached(values, expected):
    assert values_of(Range.model_validate(values)) == expected


@given(st.integers(-99, 99), st.integers(1, 9), st.integers(1, 50))
def test_a_range_of_tenths_has_no_rounding_error(start, step, count):
    values = Range.model_validate(
        {"from": start / 10, "to": (start + step * (count - 1)) / 10, "step": step / 10}
    )
    assert values_of(values) == [(start + step * i) / 10 for i in range(count)]


def test_the_example_of_the_reference_does_what_the_reference_says():
    page = (Path(__file__).parents[3] / "config" / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(experiments:.*?)```", page, flags=re.DOTALL)
    groups = yaml.safe_load(example)["experiments"]
    found = [name for group in groups for name in (p.name for p in points(groups[group], group))]
    assert len(found) == len(set(found)) == 4 * 2 * 2 - 2 + 1 + 1
    assert "sweep_batch4_out16_large_threads2" in found


def test_an_experiment_has_defaults_then_its_group_then_its_point(root):
    config = with_experiments(
        x={
            "settings": {"output_tokens": 8, "sampling": {"seed": 5}},
            "axes": {"sampling.temperature": [0.5], "engine.toy.threads": [2]},
        }
    )
    config["defaults"] |= {
        "batch_size": 2,
        "output_tokens": 99,
        "sampling": {"seed": 1, "top_k": 4},
        "engine": {"toy": {"cache": True}, "boxy": {"eager": False}},
    }
    (experiment,) = load(root, config).experiments
    settings = experiment.settings
    assert (settings.batch_size, settings.output_tokens) == (2, 8)
    assert settings.sampling.model_dump() == {
        "temperature": 0.5,
        "top_p": 1.0,
        "top_k": 4,
        "seed": 5,
    }
    assert settings.engine_options == {"threads": 2, "gain": 1.0, "cache": True, "layout": "rows"}
    assert dict(experiment.factors) == {"sampling.temperature": 0.5, "engine.toy.threads": 2}
    assert experiment.declared == {
        "backend": "toy",
        "model": "small",
        "prompts": "short",
        "batch_size": 2,
        "output_tokens": 8,
        "sampling": {"seed": 5, "top_k": 4, "temperature": 0.5},
        "engine": {"toy": {"cache": True, "threads": 2}, "boxy": {"eager": False}},
    }
