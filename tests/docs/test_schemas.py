"""The published schemas are those of the models, and say the same about every file."""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from docs.generate.reference import HEADINGS
from docs.generate.schemas import generated, json_schema
from hypothesis import example, given
from pydantic import ValidationError
from tests.llm_energy.altered_campaigns import RICH, altered

from llm_energy.campaign.campaign_file import CampaignConfig
from llm_energy.campaign.measurement_settings import GPU_CYCLES, GPU_DEFAULTS, Measurement
from llm_energy.results.result import Result
from llm_energy.system.docstrings import field_docstrings

ROOT = Path(__file__).parents[2]

VALIDATOR = jsonschema.Draft202012Validator(json_schema(CampaignConfig))


def accepted_by_models(config):
    try:
        CampaignConfig.model_validate(config)
    except ValidationError:
        return False
    return True


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
    assert path.read_text(encoding="utf-8") == generated(ROOT)[path], "run: make schemas"


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


def test_gpu_defaults_are_reported_where_they_differ():
    for key, value in GPU_DEFAULTS.items():
        description = field_docstrings(Measurement)[key]
        assert re.search(rf"GPU: {value:g}\b", description)
    assert f"GPU: {GPU_CYCLES}." in field_docstrings(CampaignConfig)["cycles"]


def test_the_shipped_campaigns_name_their_schema_and_obey_it():
    files = [ROOT / "config/config.yaml", *(ROOT / "config/campaigns").glob("*.yaml")]
    files += [ROOT / ".test/config/config.yaml"]
    for file in files:
        text = file.read_text(encoding="utf-8")
        schema = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
        assert schema, f"{file.name} does not begin with its schema"
        assert (file.parent / schema[1]).resolve() == ROOT / "config/schemas/config.schema.yaml"
        VALIDATOR.validate(yaml.safe_load(text))


def test_the_catalog_finds_the_schema_and_makes_a_table_of_its_keys():
    """It reads the first level of workflow/schemas/config.schema.yaml into cells of Markdown."""
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    assert schema == json_schema(CampaignConfig)
    for name, key in schema["properties"].items():
        assert key["description"], name
        assert not re.search(r"[|\n]", f"{key['description']}{key.get('default', '')}"), name
