"""The default campaign's own inputs: a real engine's tokenizer on the real model.

They are made where the default campaign has them, and kept there.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from llm_energy.campaign.campaign import load_campaign
from llm_energy.campaign.declared_inputs import (
    FilePrompts,
    Prompts,
    ShippedPrompts,
    Synthetic,
    SyntheticPrompts,
)
from llm_energy.campaign.identity import TEMPLATE_DATE, prompts_identity
from llm_energy.inputs.checksums import alone, file_sha256, write_marker
from llm_energy.inputs.environment import prepare_environment
from llm_energy.inputs.models import prepare_model
from llm_energy.inputs.prompts import Tokenizer, prepare_prompts
from llm_energy.inputs.recipes import PromptsRecipe, campaign_recipes
from llm_energy.inputs.token_length import Room
from llm_energy.system.cache import environment_marker, model_marker

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "config" / "prompts"

TEMPLATE_END = [2, 198, 1, 520, 9531, 198]
"""`<|im_end|>`, a line end, `<|im_start|>`, `ass`, `istant`, a line end."""


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """The tokenizer of the default campaign's model, in the environment of its engine."""
    log = tmp_path_factory.mktemp("logs") / "log"
    config = ROOT / "config" / "config.yaml"
    campaign = load_campaign(
        yaml.safe_load(config.read_text()), files=[config], root=ROOT, lock=None
    )
    plans = campaign_recipes(campaign, ROOT)
    (prompts,) = plans.prompts.values()
    environment = ROOT / environment_marker(prompts.environment)
    model = ROOT / model_marker(prompts.model)
    before = Path.cwd()
    os.chdir(ROOT)  # where `alone` keeps its locks
    try:
        with alone(environment.parent):
            plan = plans.environments[prompts.environment]
            content = prepare_environment(plan, root=ROOT, target=environment.parent, log=log)
            write_marker(environment, content)
        with alone(model.parent):
            plan = plans.models[prompts.model]
            content = prepare_model(plan.source, plan.identity, target=model.parent, log=log)
            write_marker(model, content)
    finally:
        os.chdir(before)
    return Tokenizer(prompts.backend, environment=environment, model=model, log=log)


def prepare(prompts: Prompts, source: Path, tokenizer: Tokenizer, tmp_path: Path) -> dict[str, Any]:
    identity = prompts_identity(prompts, file_sha256(source))
    room = Room(context_tokens=8192, output_tokens=16)
    recipe = PromptsRecipe(prompts, identity, "llamacpp", "environment-0", "model-0", room)
    return prepare_prompts(recipe, tokenizer, root=ROOT, target=tmp_path, log=tmp_path / "log")


def test_a_known_question_has_the_known_number_of_tokens(tokenizer: Tokenizer) -> None:
    question = "What is the capital of France? Answer in one sentence."
    (ids,) = tokenizer.tokenize([question], template_date=TEMPLATE_DATE)
    assert len(ids) == 42
    assert ids[-len(TEMPLATE_END) :] == TEMPLATE_END


def test_every_shipped_prompt_fits_the_limit_of_the_default_campaign(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    recipe = ShippedPrompts(shipped="everyday", chat_template=True, max_input_tokens=128)
    content = prepare(recipe, SHIPPED / "everyday.jsonl", tokenizer, tmp_path)
    assert content["count"] == 64
    assert content["input_tokens"]["minimum"] == 41
    assert content["input_tokens"]["maximum"] == 73


def test_a_cut_prompt_still_ends_with_the_template(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    path.write_text(json.dumps({"prompt": "All work and no play. " * 200}))
    recipe = FilePrompts(
        file=str(path), chat_template=True, max_input_tokens=100, on_too_long="truncate"
    )
    content = prepare(recipe, path, tokenizer, tmp_path)
    (ids,) = content["token_ids"]
    assert len(ids) == 100
    assert ids[-len(TEMPLATE_END) :] == TEMPLATE_END
    assert content["truncated"] == 1


@pytest.mark.parametrize("length", [8, 128, 4000])
def test_synthetic_prompts_have_their_exact_length_and_differ(
    tokenizer: Tokenizer, tmp_path: Path, length: int
) -> None:
    recipe = SyntheticPrompts(synthetic=Synthetic(input_tokens=length, count=3), seed=1)
    ids = prepare(recipe, SHIPPED / "prose.txt", tokenizer, tmp_path)["token_ids"]
    assert [len(i) for i in ids] == [length] * 3
    assert len({tuple(i[:8]) for i in ids}) == 3


def test_a_prompt_of_a_megabyte_is_reported_with_its_tokens(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    path = tmp_path / "huge.jsonl"
    path.write_text(json.dumps({"prompt": "Again and again. " * 58_000}))
    recipe = FilePrompts(file=str(path), max_input_tokens=512)
    with pytest.raises(
        Exception, match=r"huge\.jsonl:1: the prompt has 2\d{5} tokens, over .* 512"
    ):
        prepare(recipe, path, tokenizer, tmp_path)
