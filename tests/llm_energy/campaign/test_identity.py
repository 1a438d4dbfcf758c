"""A spec holds what is measured and nothing else: what changes a spec, and what never does."""

import copy

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy.make_campaigns import (
    BASE,
    COMMIT,
    SHA,
    changed,
    load,
    make_checkout,
    specs,
    with_experiments,
)

from llm_energy.campaign.campaign import load_campaign
from llm_energy.campaign.identity import PROTOCOL_VERSION, short_hash, substance
from llm_energy.campaign.problems import CampaignError
from llm_energy.campaign.types import canonical
from llm_energy.system.files import sha256_of


def spec_of(root, config):
    (experiment,) = load(root, config).experiments
    return experiment.spec_hash


def one(**settings):
    return with_experiments(one={"settings": settings})


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


def test_comments_and_line_ends_of_an_environment_change_no_spec(own_root):
    before = specs(load(own_root))
    requirements = own_root / "envs" / "toy" / "requirements.txt"
    requirements.write_bytes(b"# why\r\n\r\ntoy-engine==1.0  \r\n")
    assert specs(load(own_root)) == before


def test_another_pin_changes_the_specs_of_its_backend_only(own_root):
    config = changed(lambda c: c["experiments"].update(other={"settings": {"backend": "boxy"}}))
    before = specs(load(own_root, config))
    (own_root / "envs" / "toy" / "requirements.txt").write_text("toy-engine==1.1\n")
    after = specs(load(own_root, config))
    assert {name for name in before if before[name] == after[name]} == {"other"}


def test_an_environment_is_its_content_wherever_the_checkout_lies(own_root, root):
    assert specs(load(own_root)) == specs(load(root))


def test_only_comments_and_empty_lines_are_no_substance(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("# head\na==1 \\\n    --hash=sha256:12\n\n  # why\nb==2  # kept\n")
    assert substance(path) == "a==1 \\\n    --hash=sha256:12\nb==2  # kept"


def test_the_tokenizer_is_that_of_the_default_source_whatever_backend_runs(root):
    config = with_experiments(
        a={"settings": {"backend": "toy"}}, b={"settings": {"backend": "boxy"}}
    )
    config["models"]["small"]["sources"] = {"boxy": {"hub": "a/b", "revision": COMMIT}}
    a, b = load(root, config).experiments
    assert a.spec["tokenizer"] == b.spec["tokenizer"]
    assert a.spec["model"] != b.spec["model"]
    assert a.prompts.id == b.prompts.id


def test_a_model_is_converted_where_the_backend_needs_another_format(root):
    experiment = load(root, one(backend="boxy")).experiments[0]
    assert experiment.model.identity["format"] == "hf"
    assert experiment.model.identity["converted_from"] == "gguf"
    assert experiment.tokenizer.identity["format"] == "gguf"


def test_the_path_of_a_local_model_is_no_part_of_it(root):
    def config(path):
        config = one()
        config["models"]["small"] = {"source": {"path": path, "sha256": SHA["c"]}}
        return config

    assert spec_of(root, config("a.gguf")) == spec_of(root, config("/elsewhere/b.gguf"))


def test_the_path_of_an_interpreter_is_no_part_of_its_environment(root):
    def config(python, packages):
        environment = {"python": python, "packages_sha256": packages}
        return {**one(), "backends": {"toy": {"environment": environment}}}

    assert spec_of(root, config("/a", SHA["1"])) == spec_of(root, config("/b", SHA["1"]))
    assert spec_of(root, config("/a", SHA["1"])) != spec_of(root, config("/a", SHA["2"]))


def test_a_prompt_file_is_its_content(root, tmp_path):
    def config(name, content):
        (tmp_path / name).write_text(content)
        return {**one(), "prompts": {"short": {"file": str(tmp_path / name)}}}

    line = '{"prompt": "Hello."}\n'
    assert spec_of(root, config("a.jsonl", line)) == spec_of(root, config("b.jsonl", line))
    assert spec_of(root, config("a.jsonl", line)) != spec_of(root, config("a.jsonl", line * 2))


def test_synthetic_prompts_are_made_of_the_shipped_text(own_root):
    config = {**one(), "prompts": {"short": {"synthetic": {"input_tokens": 8, "count": 4}}}}
    before = spec_of(own_root, config)
    (own_root / "config" / "prompts" / "prose.txt").write_text("Another text.\n")
    assert spec_of(own_root, config) != before


UNPINNED = {
    "package:tiny==1.0:t.gguf": {"package": "tiny", "version": "1.0", "file": "t.gguf"},
    "path:models/t.gguf": {"path": "models/t.gguf"},
    "hub:a/b": {"hub": "a/b", "files": ["*.gguf"]},
    "hub:a/b@main": {"hub": "a/b", "revision": "main", "files": ["*.gguf"]},
}


@pytest.mark.parametrize("key", UNPINNED)
def test_a_source_without_a_pin_is_an_error_until_it_is_locked(own_root, key):
    source = UNPINNED[key]
    config = {**one(), "models": {"small": {"source": source}}}
    with pytest.raises(CampaignError) as error:
        load(own_root, config)
    assert error.value.messages == [
        f"--config: models.small.source: {key} is not pinned; pin it with the target `lock`: "
        "`snakemake lock` and the rest of this command"
    ]

    pin = {"revision": COMMIT} if "hub" in source else {"sha256": SHA["e"]}
    (own_root / "lock.yaml").write_text(yaml.safe_dump({"models": {key: pin}}))
    locked = load(own_root, config).experiments[0]

    config["models"]["small"]["source"] = {**source, **pin}
    (own_root / "lock.yaml").unlink()
    assert load(own_root, config).experiments[0].spec_hash == locked.spec_hash


def test_an_interpreter_without_a_pin_is_an_error_until_it_is_locked(own_root):
    config = {**one(), "backends": {"toy": {"environment": {"python": "/opt/toy/bin/python"}}}}
    with pytest.raises(CampaignError, match=r"backends\.toy\.environment: .* not pinned; pin it"):
        load(own_root, config)
    lock = {"environments": {"toy": {"packages_sha256": SHA["f"]}}}
    (own_root / "lock.yaml").write_text(yaml.safe_dump(lock))
    assert load(own_root, config).experiments[0].environment.identity == lock["environments"]["toy"]


def test_the_lock_target_can_read_a_campaign_with_identities_to_pin(root):
    config = {**one(), "models": {"small": {"source": UNPINNED["path:models/t.gguf"]}}}
    campaign = load(root, config, allow_unpinned=True)
    assert [line.split(" is ")[0] for line in campaign.unpinned] == [
        "--config: models.small.source: path:models/t.gguf"
    ]
    with pytest.raises(CampaignError, match="cycles"):
        load(root, config | {"cycles": 0}, allow_unpinned=True)


def test_a_damaged_lock_file_is_one_line(own_root):
    (own_root / "lock.yaml").write_text("models: [1]\n")
    with pytest.raises(CampaignError, match=r"lock\.yaml: models: .*; remove it and run"):
        load(own_root)


def test_several_sources_without_a_default_leave_the_tokenizer_open(root):
    config = one(backend="boxy")
    sources = {"boxy": {"hub": "a/b", "revision": COMMIT}, "toy": {"path": "x", "sha256": SHA["a"]}}
    config["models"]["small"] = {"sources": sources}
    with pytest.raises(CampaignError, match="needs `source` beside several `sources`"):
        load(root, config)


def test_reading_a_campaign_writes_nothing(tmp_path, monkeypatch):
    root = make_checkout(tmp_path / "checkout")
    monkeypatch.chdir(tmp_path)
    before = sorted(path for path in tmp_path.rglob("*"))
    load_campaign(BASE, files=[], root=root, lock=root / "lock.yaml")
    assert sorted(path for path in tmp_path.rglob("*")) == before
