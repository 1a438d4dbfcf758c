"""A spec holds what is measured and nothing else: what changes a spec, and what never does."""

import copy

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy.make_campaigns import (
    BASE,
    SHA,
    load,
    make_checkout,
    one,
    spec_of,
    specs,
    with_experiments,
)

from llm_energy.campaign.campaign import load_campaign
from llm_energy.campaign.identity import PROTOCOL_VERSION, short_hash
from llm_energy.campaign.types import canonical
from llm_energy.system.files import sha256_of


def test_a_spec_names_all_that_identifies_a_measurement(root):
    (experiment,) = load(root, one(batch_size=2)).experiments
    assert experiment.spec == {
        "protocol": PROTOCOL_VERSION,
        "backend": {"name": "toy", "environment": sha256_of(experiment.environment.identity)},
        "model": {
            "package": "tiny",
            "version": "1.0",
            "file": "t.gguf",
            "sha256": SHA["a"],
            "format": "gguf",
        },
        "tokenizer": {
            "package": "tiny",
            "version": "1.0",
            "file": "t.gguf",
            "sha256": SHA["a"],
            "format": "gguf",
        },
        "prompts": {
            "sha256": experiment.spec["prompts"]["sha256"],
            "field": "prompt",
            "limit": 8,
            "seed": 0,
            "chat_template": False,
            "max_input_tokens": None,
            "on_too_long": "error",
        },
        "settings": {
            "batch_size": 2,
            "output_tokens": 16,
            "context_tokens": 512,
            "dtype": "auto",
            "load_mode": "waves",
            "sampling": {"temperature": 0, "top_p": 1, "top_k": 0, "seed": 0},
            "engine_options": {"threads": 1, "gain": 1, "cache": False, "layout": "rows"},
        },
        "measurement": {
            "device": "cpu",
            "minimum_duration_s": 3,
            "baseline_s": 2,
            "warmup_cap_s": 5,
            "tail_s": 1,
            "sampling_hz": 10,
        },
    }
    assert experiment.spec_hash == short_hash(experiment.spec)
    assert len(experiment.spec_hash) == 12


def test_the_hash_of_a_spec_is_the_same_on_every_machine_and_in_every_version(root):
    (experiment,) = load(root, one(batch_size=2)).experiments
    assert experiment.spec_hash == "d285bb928e0c"


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(campaign="other"),
        lambda c: c.update(seed=8),
        lambda c: c.update(cycles=9),
        lambda c: c.update(order="sequential", isolation="measurement"),
        lambda c: c.update(reference="sweep_batch1_out16"),
        lambda c: c["measurement"].update(load_deadline_s=5, measure_deadline_s=60),
        lambda c: c["models"]["small"].update(licence="MIT"),
        lambda c: c["models"].update(more={"source": {"path": "x"}}),
        lambda c: c["prompts"].update(more={"synthetic": {"input_tokens": 8, "count": 4}}),
        lambda c: c["experiments"].update(more={"settings": {"batch_size": 2}}),
        lambda c: c["experiments"]["sweep"]["axes"]["batch_size"].insert(0, 2),
        lambda c: c["experiments"]["sweep"].update(include=[{"batch_size": 8, "output_tokens": 8}]),
        lambda c: c["defaults"].update(engine={"boxy": {"eager": False}}),
        lambda c: c["defaults"].update(batch_size=1, output_tokens=16.0, dtype="auto"),
        lambda c: c["backends"].pop("boxy"),
        lambda c: c["models"]["small"].update(sources={"boxy": {"path": "x"}}),
    ],
)
def test_what_an_experiment_does_not_use_changes_no_spec(root, change):
    config = {**copy.deepcopy(BASE), "measurement": {}}
    before = specs(load(root, config))
    change(config)
    after = specs(load(root, config))
    assert {name: after[name] for name in before} == before


def test_settings_of_the_analysis_change_no_spec(root):
    for_the_analysis = {
        "reference": "sweep_batch1_out16",
        "comparisons": {"factors": ["batch_size"], "equivalence_margin": 0.05},
        "assumptions": {
            "electricity": {"price_per_kwh": 0.3, "currency": "EUR"},
            "carbon_intensity_grams_per_kwh": 380,
            "power_usage_effectiveness": 1.2,
        },
    }
    assert specs(load(root, BASE | for_the_analysis)) == specs(load(root))


def test_renaming_a_model_or_prompt_set_changes_no_spec(root):
    config = one()
    config["models"]["renamed"] = config["models"].pop("small")
    config["prompts"]["other-name"] = config["prompts"].pop("short")
    config["defaults"] |= {"model": "renamed", "prompts": "other-name"}
    assert spec_of(root, config) == spec_of(root, one())


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 2},
        {"output_tokens": 17},
        {"context_tokens": 1024},
        {"load_mode": "closed"},
        {"sampling": {"temperature": 0.1}},
        {"sampling": {"seed": 1}},
        {"engine": {"toy": {"threads": 2}}},
        {"backend": "boxy"},
        {"backend": "boxy", "dtype": "bfloat16"},
        {"backend": "boxy", "model": "large"},
    ],
)
def test_every_setting_changes_the_spec(root, settings):
    assert spec_of(root, one(**settings)) != spec_of(root, one())


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["models"]["small"]["source"].update(sha256=SHA["b"]),
        lambda c: c["models"]["small"]["source"].update(version="1.1"),
        lambda c: c["prompts"]["short"].update(limit=4),
        lambda c: c["prompts"]["short"].update(seed=1),
        lambda c: c["prompts"]["short"].update(chat_template=True),
        lambda c: c["prompts"]["short"].update(max_input_tokens=64),
        lambda c: c.update(measurement={"minimum_duration_s": 4}),
        lambda c: c.update(measurement={"device": "gpu"}),
        lambda c: c.update(measurement={"sampling_hz": 20}),
    ],
)
def test_what_an_experiment_is_made_of_changes_its_spec(root, change):
    config = one()
    change(config)
    assert spec_of(root, config) != spec_of(root, one())


def test_swapping_two_values_changes_exactly_those_experiments(root):
    def config(a, b):
        return with_experiments(
            a={"settings": {"output_tokens": a}},
            b={"settings": {"output_tokens": b}},
            c={"settings": {"output_tokens": 64}},
        )

    before, after = specs(load(root, config(16, 48))), specs(load(root, config(48, 16)))
    assert (after["a"], after["b"], after["c"]) == (before["b"], before["a"], before["c"])
    assert before["a"] != before["b"]


def test_swapping_the_values_of_two_settings_changes_the_spec(root):
    one_way = spec_of(root, one(batch_size=4, output_tokens=8))
    other_way = spec_of(root, one(batch_size=8, output_tokens=4))
    assert one_way != other_way


def test_numbers_have_one_form_and_keys_no_order(root):
    text = "{batch_size: 4.0, sampling: {top_p: 1, temperature: 0}, engine: {toy: {gain: 2}}}"
    other = "{engine: {toy: {gain: 2.0}}, sampling: {temperature: 0.0, top_p: 1.0}, batch_size: 4}"
    assert spec_of(root, one(**yaml.safe_load(text))) == spec_of(root, one(**yaml.safe_load(other)))


NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
NESTED = st.recursive(
    NUMBERS | st.text() | st.booleans() | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(NESTED)
def test_the_one_form_of_a_value_is_that_of_its_equal(value):
    as_floats = _with_floats(value)
    assert canonical(value) == value
    assert short_hash(as_floats) == short_hash(value)


def _with_floats(value):
    if isinstance(value, dict):
        return {key: _with_floats(value[key]) for key in reversed(list(value))}
    if isinstance(value, list):
        return [_with_floats(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def test_reading_a_campaign_writes_nothing(tmp_path, monkeypatch):
    root = make_checkout(tmp_path / "checkout")
    monkeypatch.chdir(tmp_path)
    before = sorted(path for path in tmp_path.rglob("*"))
    load_campaign(BASE, files=[], root=root, lock=root / "lock.yaml")
    assert sorted(path for path in tmp_path.rglob("*")) == before
