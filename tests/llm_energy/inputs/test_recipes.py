"""The recipes of a campaign: one for each cached input."""

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tests.llm_energy.make_campaigns import BASE, COMMIT, SHA, load, make_checkout

from llm_energy.campaign.declared_inputs import PackageSource
from llm_energy.inputs.recipes import Recipes, as_text, campaign_recipes, one_of
from llm_energy.inputs.token_length import Room


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with the backends `toy` (gguf) and `boxy` (hf), and with the one that converts."""
    checkout = make_checkout(tmp_path / "checkout")
    (checkout / "envs" / "pytorch").mkdir()
    (checkout / "envs" / "pytorch" / "requirements.txt").write_text("converter==1.0\n")
    return checkout


def plans(root: Path, **experiments: Any) -> tuple[Any, Recipes]:
    campaign = load(root, {**BASE, "experiments": experiments or BASE["experiments"]})
    return campaign, campaign_recipes(campaign, root)


def settings(**values: Any) -> dict[str, Any]:
    return {"settings": values}


def test_each_experiment_finds_all_that_it_needs(root: Path) -> None:
    campaign, inputs = plans(
        root, a={}, b=settings(backend="boxy"), c=settings(backend="boxy", model="large")
    )
    for experiment in campaign.experiments:
        assert experiment.environment.id in inputs.environments
        assert (experiment.model.id in inputs.models) != (experiment.model.id in inputs.conversions)
        assert experiment.prompts.id in inputs.prompts


def test_what_experiments_share_is_made_once(root: Path) -> None:
    _, inputs = plans(root)
    counts = [len(inputs.environments), len(inputs.models), len(inputs.prompts)]
    assert counts == [1, 1, 1]
    assert not inputs.conversions


def test_what_no_experiment_uses_is_not_made(root: Path) -> None:
    _, inputs = plans(root, a={})
    assert [recipe.backend for recipe in inputs.environments.values()] == ["toy"]
    (model,) = inputs.models.values()
    assert model.source == PackageSource(
        package="tiny", version="1.0", file="t.gguf", sha256=SHA["a"]
    )


def test_an_engine_that_takes_no_gguf_gets_a_converted_model(root: Path) -> None:
    campaign, inputs = plans(root, a=settings(backend="boxy"))
    plan = inputs.conversions[campaign.experiments[0].model.id]
    assert inputs.models[plan.model].identity["format"] == "gguf"
    assert inputs.environments[plan.environment].backend == "pytorch"


def test_where_engines_run_in_containers_one_converts_too(root: Path) -> None:
    for backend in ("boxy", "pytorch"):
        (root / "envs" / backend / "Dockerfile").write_text("FROM scratch\n")
    container = {"runtime": "docker", "base": "debian"}
    backends = dict.fromkeys(BASE["backends"], container)
    (root / "envs/debian").mkdir()
    (root / "envs/debian/make-base.sh").write_text("debootstrap\n")
    experiments = {"b": settings(backend="boxy")}
    campaign = load(root, {**BASE, "backends": backends, "experiments": experiments})
    inputs = campaign_recipes(campaign, root)
    (conversion,) = inputs.conversions.values()
    plan = inputs.environments[conversion.environment]
    assert (plan.backend, plan.kind, plan.base) == ("pytorch", "build", "debian")


def test_the_original_of_a_converted_model_is_the_one_that_other_engines_use(root: Path) -> None:
    campaign, inputs = plans(root, a={}, b=settings(backend="boxy"))
    plain, converted = campaign.experiments
    assert inputs.conversions[converted.model.id].model == plain.model.id
    assert set(inputs.models) == {plain.model.id}


def test_a_model_of_the_hub_is_planned_with_its_commit(root: Path) -> None:
    _, inputs = plans(root, a=settings(backend="boxy", model="large"))
    (model,) = inputs.models.values()
    assert model.identity == {"hub": "somebody/large", "revision": COMMIT, "format": "hf"}


def test_prompts_are_tokenised_by_an_engine_that_reads_the_models_own_format(root: Path) -> None:
    campaign, inputs = plans(root, a=settings(backend="boxy"), b={})
    converted, plain = campaign.experiments
    assert converted.prompts.id == plain.prompts.id
    plan = inputs.prompts[plain.prompts.id]
    assert plan.backend == "toy"
    assert (plan.model, plan.environment) == (plain.model.id, plain.environment.id)


def test_prompts_must_fit_the_experiment_with_the_least_room(root: Path) -> None:
    roomy, tight = settings(context_tokens=512), settings(context_tokens=128, output_tokens=100)
    campaign, inputs = plans(root, a=roomy, b=tight)
    room = inputs.prompts[campaign.experiments[0].prompts.id].room
    assert room == Room(context_tokens=128, output_tokens=100)


def test_an_interpreter_of_the_users_is_planned_with_its_path(root: Path) -> None:
    own = {"environment": {"python": "/opt/toy/bin/python", "packages_sha256": SHA["b"]}}
    campaign = load(root, {**BASE, "backends": {"toy": own, "boxy": {}}})
    (environment,) = campaign_recipes(campaign, root).environments.values()
    assert environment.python == "/opt/toy/bin/python"
    assert environment.identity == {"packages_sha256": SHA["b"]}


def test_recipes_survive_the_way_through_json(root: Path) -> None:
    _, inputs = plans(root, a={}, b=settings(backend="boxy"))
    for recipe in itertools.chain(*(kind.values() for kind in vars(inputs).values())):
        assert TypeAdapter(type(recipe)).validate_json(as_text(recipe)) == recipe


@given(st.sets(st.from_regex(r"[a-z.-]{1,6}-[0-9a-f]{2}", fullmatch=True)), st.text("ab.-0"))
def test_a_wildcard_matches_the_planned_names_only(names: set[str], other: str) -> None:
    pattern = re.compile(one_of(names))
    assert all(pattern.fullmatch(name) for name in names)
    assert bool(pattern.fullmatch(other)) == (other in names)
