"""The published schemas are those of the models, and say the same about every file."""

import copy
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from make_campaigns import BASE, COMMIT, SHA
from pydantic import ValidationError

from llm_energy.config.model import GPU_CYCLES, GPU_DEFAULTS, CampaignConfig, Measurement
from llm_energy.config.reference import HEADINGS
from llm_energy.results import Result
from llm_energy.schemas import generated, json_schema

ROOT = Path(__file__).parents[2]

RICH = BASE | {
    "reference": "sweep_batch1_out16",
    "order": "sequential",
    "remeasure": "invalid",
    "new_device": True,
    "backends": {"toy": {"environment": {"python": "bin/python", "packages_sha256": SHA["b"]}}},
    "models": {
        "small": {
            "licence": "Apache-2.0",
            "source": {"path": "models/small.gguf", "sha256": SHA["c"]},
            "sources": {"boxy": {"hub": "a/b", "revision": COMMIT, "files": ["*.json"]}},
        },
    },
    "prompts": {
        "a": {"shipped": "everyday", "seed": 1, "max_input_tokens": 64, "on_too_long": "truncate"},
        "b": {"file": "mine.jsonl", "field": "text", "chat_template": True},
        "c": {
            "package": "p",
            "version": "1",
            "file": "f",
            "field": "x",
            "sha256": SHA["d"],
            "limit": 4,
        },
        "d": {"synthetic": {"input_tokens": 16, "count": 4}, "seed": 1},
    },
    "measurement": {"device": "gpu", "minimum_duration_s": 30, "sampling_hz": 20.0},
    "defaults": {"sampling": {"temperature": 0.5, "top_k": 3}, "engine": {"toy": {"threads": 2}}},
    "experiments": {
        "x": {
            "settings": {"load_mode": "closed"},
            "axes": {
                "batch_size": {"from": 1, "to": 8, "factor": 2},
                "output_tokens": {"from": 16, "to": 64, "step": 16},
                "engine.toy.cache": [True, False],
            },
            "linked": [{"model": ["small", "large"], "dtype": ["a", "b"]}],
            "exclude": [{"batch_size": 2}],
            "include": [{"batch_size": 3, "output_tokens": 16}],
        },
        "y": {},
    },
}

VALIDATOR = jsonschema.Draft202012Validator(json_schema(CampaignConfig))


def paths_of(value, path=()):
    """Every key and index in a nested value, outermost first."""
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths_of(inner, (*path, key))


PATHS = list(paths_of(RICH))[1:]
KEYS = [*sorted({str(path[-1]) for path in PATHS}), "batch_sise", "Ü", "", "../x", "engine.toy.x"]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.sampled_from([2**31, 2**63, 1e300])
    | st.floats(-1, 40, allow_nan=False)
    | st.sampled_from(KEYS)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=5,
)


@st.composite
def altered(draw):
    """The rich campaign after one to three changes: a value replaced, a key removed or added."""
    config = copy.deepcopy(RICH)
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from(PATHS))
        inner = config
        try:
            for part in parents:
                inner = inner[part]
            match draw(st.sampled_from(["replace", "remove", "add"])):
                case "replace":
                    inner[last] = draw(VALUES)
                case "remove":
                    del inner[last]
                case "add" if isinstance(inner, dict):
                    inner[draw(st.sampled_from(KEYS))] = draw(VALUES)
        except (KeyError, IndexError, TypeError):
            pass  # an earlier change took the place away
    return config


def accepted_by_models(config):
    try:
        CampaignConfig.model_validate(config)
    except ValidationError:
        return False
    return True


@settings(max_examples=500, deadline=None)
@given(altered())
@example(RICH)
@example(RICH | {"cycles": 2.0})
@example(RICH | {"cycles": True})
@example(RICH | {"cycles": "2"})
def test_schema_and_models_accept_the_same_campaigns(config):
    assert VALIDATOR.is_valid(config) == accepted_by_models(config)


def test_the_rich_example_is_valid():
    VALIDATOR.validate(RICH)
    CampaignConfig.model_validate(RICH)


@pytest.mark.parametrize("path", sorted(generated(ROOT)), ids=lambda path: path.name)
def test_generated_files_are_up_to_date(path):
    assert path.read_text(encoding="utf-8") == generated(ROOT)[path], (
        "run: PYTHONPATH=scripts .venv/bin/python -m llm_energy.schemas"
    )


@pytest.mark.parametrize("model", [CampaignConfig, Result])
def test_published_schemas_are_valid_schemas(model):
    jsonschema.Draft202012Validator.check_schema(json_schema(model))


def test_every_key_is_in_the_reference_with_its_meaning():
    schema = json_schema(CampaignConfig)
    models = {schema["title"]: schema, **schema["$defs"]}
    assert set(models) == set(HEADINGS)
    page = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    for name, model in models.items():
        for key, node in model["properties"].items():
            assert node.get("description"), f"{name}.{key} has no docstring"
            assert f"| `{key}` |" in page


def test_gpu_defaults_are_told_where_they_differ():
    for key, value in GPU_DEFAULTS.items():
        description = Measurement.model_fields[key].description
        assert re.search(rf"GPU: {value:g}\b", description)
    assert f"GPU: {GPU_CYCLES}." in CampaignConfig.model_fields["cycles"].description


def test_the_shipped_campaigns_name_their_schema_and_obey_it():
    files = [ROOT / "config/config.yaml", *(ROOT / "config/campaigns").glob("*.yaml")]
    for file in files:
        text = file.read_text(encoding="utf-8")
        schema = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
        assert schema, f"{file.name} does not begin with its schema"
        assert (file.parent / schema[1]).resolve() == ROOT / "config/schemas/config.schema.yaml"
        VALIDATOR.validate(yaml.safe_load(text))
