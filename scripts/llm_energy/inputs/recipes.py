"""Recipes for everything that a campaign needs made ready: one for each folder of the cache.

Pure: recipes are made while the workflow is parsed. Each becomes the one parameter of a job, as
canonical JSON, and is read back there as what it was.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import TypeAdapter

from llm_energy.campaign.backend_settings import BackendConfig, Interpreter
from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.declared_inputs import DeclaredPrompts, DeclaredSource, PathSource
from llm_energy.campaign.experiment import Experiment
from llm_energy.campaign.identity import Declared, environment_folder, environment_identity
from llm_energy.campaign.lock_file import Lock
from llm_energy.inputs.token_length import Room
from llm_energy.system.files import canonical_json

CONVERTER = "pytorch"
"""Backend whose environment converts models."""

Kind = Literal["venv", "interpreter", "build", "image"]

Identity = Mapping[str, Any]
"""Declared identity: what the hash in a folder's name is taken of."""


class Recipe(Protocol):
    def accepts(self, made: Mapping[str, Any]) -> bool:
        """Return whether the marker `made`, which has the same id, is what this recipe makes: all
        that is made in the cache is, what is the user's own may lie in two places."""


@dataclass(frozen=True)
class EnvironmentRecipe:
    backend: str
    identity: Identity
    kind: Kind
    folder: str
    """The backend's folder below the checkout."""
    device: str
    python: str = "python3"
    """The user's interpreter, or the one in the user's image."""
    image: str = ""
    """The user's image, by digest or id."""
    base: str | None = None
    """The image to build on; None: the Dockerfile's own."""
    adapter: str | None = None
    """Adapter that runs in it where it is that of another backend."""

    @property
    def in_image(self) -> bool:
        return self.kind in ("build", "image")

    def accepts(self, made: Mapping[str, Any]) -> bool:
        own = self.kind == "interpreter"
        return made["kind"] != "interpreter" and not own


@dataclass(frozen=True)
class ModelRecipe:
    """A model that is fetched or found."""

    source: DeclaredSource
    identity: Identity

    def accepts(self, made: Mapping[str, Any]) -> bool:
        return not (Path(made["path"]).is_absolute() or isinstance(self.source, PathSource))


@dataclass(frozen=True)
class ConversionRecipe:
    """A model that is made from another one."""

    identity: Identity
    model: str
    """Id of the model it is made from."""
    environment: str
    """Id of the environment that converts."""

    def accepts(self, made: Mapping[str, Any]) -> bool:  # noqa: ARG002
        return True


@dataclass(frozen=True)
class PromptsRecipe:
    prompts: DeclaredPrompts
    identity: Identity
    backend: str
    """The backend whose tokenizer makes the token ids; its environment and model follow, by id."""
    environment: str
    model: str
    room: Room

    def accepts(self, made: Mapping[str, Any]) -> bool:
        """Raises PromptError where they are too long for this campaign's experiments."""
        self.room.check(made["input_tokens"]["maximum"])
        return True


@dataclass(frozen=True)
class Recipes:
    """Recipes by id: the name of the input's folder in the cache (`NAME-HASH`)."""

    environments: Mapping[str, EnvironmentRecipe]
    models: Mapping[str, ModelRecipe]
    conversions: Mapping[str, ConversionRecipe]
    prompts: Mapping[str, PromptsRecipe]


def campaign_recipes(campaign: Campaign, root: Path) -> Recipes:
    """Return the recipes for everything that the experiments of a campaign need."""
    experiments = campaign.experiments
    converted = {e.model.id: e.model for e in experiments if is_converted(e.model)}
    originals = {id_: original_of(model) for id_, model in converted.items()}
    fetched = {e.model.id: e.model for e in experiments if not is_converted(e.model)}
    fetched |= {original.id: original for original in originals.values()}
    environments = {e.environment.id: e.environment for e in experiments}
    adapters = {e.environment.id: e.adapter for e in experiments}
    conversions = {}
    if converted:
        converter = converting_environment(campaign, root)
        environments[converter.id] = converter
        conversions = {
            id_: ConversionRecipe(model.identity, originals[id_].id, converter.id)
            for id_, model in converted.items()
        }
    device = campaign.measurement.device
    return Recipes(
        environments={
            id_: environment_recipe(e, root, device, adapter=adapters.get(id_))
            for id_, e in environments.items()
        },
        models={id_: ModelRecipe(model.config, model.identity) for id_, model in fetched.items()},
        conversions=conversions,
        prompts={id_: prompts_recipe(users) for id_, users in by_prompts(experiments).items()},
    )


def is_converted(model: Declared) -> bool:
    """Check whether a model is made from another format than the one it comes in."""
    return "converted_from" in model.identity


def original_of(model: Declared) -> Declared:
    """Return the model that a converted one is made from."""
    identity = {k: v for k, v in model.identity.items() if k not in ("converted_from", "recipe")}
    identity["format"] = model.identity["converted_from"]
    return Declared(name=model.name, config=model.config, identity=identity)


def converting_environment(campaign: Campaign, root: Path) -> Declared:
    """Return the environment of the backend that converts.

    It is the campaign's own, or else a managed one of the kind that its first backend has.
    """
    for experiment in campaign.experiments:
        if experiment.settings.backend == CONVERTER:
            return experiment.environment
    like = next(iter(campaign.backends.values()))
    config = BackendConfig(runtime=like.runtime, base=like.base)
    device = campaign.measurement.device
    identity = environment_identity(root, CONVERTER, config, Lock(), device=device)
    return Declared(name=CONVERTER, config=config, identity=identity)


def environment_recipe(
    environment: Declared, root: Path, device: str, *, adapter: str | None = None
) -> EnvironmentRecipe:
    """Return how an environment is made ready, or found.

    Args:
        adapter: that makes token ids in it, where its own backend has none.
    """
    backend, config = environment.name, environment.config
    folder = str(environment_folder(root, backend, device).relative_to(root))
    kind: Kind = "venv"
    further: dict[str, Any] = {}
    if adapter not in (None, backend):
        further = {"adapter": adapter}
    if isinstance(config.environment, Interpreter):
        kind, further = "interpreter", {**further, "python": config.environment.python}
    elif own := config.own_image:
        kind, further = "image", {**further, **own.model_dump()}
    elif config.in_container:
        kind, further = "build", {**further, "base": config.base}
    return EnvironmentRecipe(backend, environment.identity, kind, folder, device, **further)


def by_prompts(experiments: Iterable[Experiment]) -> dict[str, list[Experiment]]:
    """Group the experiments by prompt set, in declared order."""
    users: dict[str, list[Experiment]] = {}
    for experiment in experiments:
        users.setdefault(experiment.prompts.id, []).append(experiment)
    return users


def prompts_recipe(users: list[Experiment]) -> PromptsRecipe:
    """Return the recipe by which one prompt set becomes token ids.

    The tokenizer is the one of the model's own source if an experiment uses that unconverted: it
    then needs neither another environment nor another model than the experiments do. No experiment
    is named: campaigns that share a set would make it anew in turn.
    """
    chosen = min(users, key=lambda e: (e.model.config != e.tokenizer.config, is_converted(e.model)))
    tight = min(users, key=lambda e: e.settings.context_tokens - e.settings.output_tokens)
    return PromptsRecipe(
        prompts=chosen.prompts.config,
        identity=chosen.prompts.identity,
        backend=chosen.adapter,
        environment=chosen.environment.id,
        model=chosen.model.id,
        room=Room(tight.settings.context_tokens, tight.settings.output_tokens),
    )


def as_text(recipe: Any) -> str:
    """Format a recipe as canonical JSON: Snakemake compares parameters by their repr."""
    adapter = TypeAdapter(type(recipe))
    return canonical_json(adapter.dump_python(recipe, mode="json", exclude_none=True))


def recipe_parameter(recipes: Mapping[str, Any], wildcard: str) -> Callable[[Any], str]:
    """Return the parameter of a rule: the recipe that the wildcard names."""
    return lambda wildcards: as_text(recipes[wildcards[wildcard]])


def one_of(names: Iterable[str]) -> str:
    """Return the pattern of a wildcard that matches exactly these names."""
    return "|".join(re.escape(name) for name in sorted(names)) or "(?!)"
