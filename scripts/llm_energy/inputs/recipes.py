"""What must be made ready for a campaign, as the rules need it: one plan for each cached input.

Pure: it is made while the workflow is parsed. A plan holds only what JSON can say, because it
becomes the one parameter of a job.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_energy.campaign.campaign import Campaign, Experiment
from llm_energy.campaign.identity import Declared, environment_folder, environment_identity
from llm_energy.campaign.lock_file import Lock
from llm_energy.campaign.schema import BackendConfig, Image, Interpreter
from llm_energy.system.files import canonical_json

CONVERTER = "pytorch"
"""Backend whose environment converts models."""

Plan = dict[str, Any]


@dataclass(frozen=True)
class InputPlans:
    """Plans by the name of the input's folder in the cache (`NAME-HASH`)."""

    environments: Mapping[str, Plan]
    models: Mapping[str, Plan]
    """Models that are fetched or found."""
    conversions: Mapping[str, Plan]
    """Models that are made of others in `models`, in one of `environments`."""
    prompts: Mapping[str, Plan]


def plan_inputs(campaign: Campaign, root: Path) -> InputPlans:
    """Everything that the experiments of a campaign need.

    Args:
        root: the checkout, with envs/.
    """
    experiments = campaign.experiments
    converted = {e.model.id: e.model for e in experiments if is_converted(e.model)}
    originals = {id_: original_of(model) for id_, model in converted.items()}
    fetched = {e.model.id: e.model for e in experiments if not is_converted(e.model)}
    fetched |= {original.id: original for original in originals.values()}
    environments = {e.environment.id: e.environment for e in experiments}
    conversions = {}
    if converted:
        converter = converting_environment(campaign, root)
        environments[converter.id] = converter
        conversions = {
            id_: {
                "identity": dict(model.identity),
                "model": originals[id_].id,
                "environment": converter.id,
            }
            for id_, model in converted.items()
        }
    return InputPlans(
        environments={
            id_: environment_plan(e, root, campaign.measurement.device)
            for id_, e in environments.items()
        },
        models={id_: model_plan(model) for id_, model in fetched.items()},
        conversions=conversions,
        prompts={id_: prompts_plan(users) for id_, users in by_prompts(experiments).items()},
    )


def is_converted(model: Declared) -> bool:
    """Whether a model is made of another format than the one it comes in."""
    return "converted_from" in model.identity


def original_of(model: Declared) -> Declared:
    """The model that a converted one is made of."""
    identity = {k: v for k, v in model.identity.items() if k not in ("converted_from", "recipe")}
    identity["format"] = model.identity["converted_from"]
    return Declared(name=model.name, config=model.config, identity=identity)


def converting_environment(campaign: Campaign, root: Path) -> Declared:
    """The environment of the backend that converts.

    As the campaign has it; else a managed one of the kind that the first of its backends is.
    """
    for experiment in campaign.experiments:
        if experiment.settings.backend == CONVERTER:
            return experiment.environment
    like = next(iter(campaign.backends.values()))
    config = BackendConfig(runtime=like.runtime, base=like.base)
    device = campaign.measurement.device
    identity = environment_identity(root, CONVERTER, config, Lock(), device=device)
    return Declared(name=CONVERTER, config=config, identity=identity)


def environment_plan(environment: Declared, root: Path, device: str) -> Plan:
    """How an environment is made: `kind` is `venv`, `interpreter`, `build` or `image`."""
    backend, config = environment.name, environment.config
    folder = environment_folder(root, backend, device).relative_to(root)
    plan = {"backend": backend, "identity": dict(environment.identity)}
    match config.environment:
        case Interpreter():
            return {**plan, "kind": "interpreter", "python": config.environment.python}
        case Image():
            own = config.environment.model_dump()
            return {**plan, "kind": "image", "device": device, **own}
    if config.runtime == "docker":
        made = {"folder": str(folder), "base": config.base}
        return {**plan, "kind": "build", "device": device, **made}
    return {**plan, "kind": "venv", "folder": str(folder)}


def model_plan(model: Declared) -> Plan:
    source = model.config.model_dump(exclude_none=True)
    return {"source": source, "identity": dict(model.identity)}


def by_prompts(experiments: Iterable[Experiment]) -> dict[str, list[Experiment]]:
    """The experiments that use each prompt set, in declared order."""
    users: dict[str, list[Experiment]] = {}
    for experiment in experiments:
        users.setdefault(experiment.prompts.id, []).append(experiment)
    return users


def prompts_plan(users: list[Experiment]) -> Plan:
    """How one prompt set becomes token ids.

    The tokenizer is the one of the model's own source if an experiment uses that unconverted: it
    then needs neither another environment nor another model than the experiments do. No experiment
    is named: campaigns that share a set would make it anew in turn.
    """
    chosen = min(users, key=lambda e: (e.model.config != e.tokenizer.config, is_converted(e.model)))
    tight = min(users, key=lambda e: e.settings.context_tokens - e.settings.output_tokens)
    return {
        "prompts": chosen.prompts.config.model_dump(exclude_none=True),
        "identity": dict(chosen.prompts.identity),
        "backend": chosen.settings.backend,
        "environment": chosen.environment.id,
        "model": chosen.model.id,
        "room": {
            "context_tokens": tight.settings.context_tokens,
            "output_tokens": tight.settings.output_tokens,
        },
    }


HELPERS = ("model", "environment")
"""Keys of a plan that name other inputs: what makes an input, not what it is."""


def plan_parameter(plans: Mapping[str, Plan], wildcard: str) -> Callable[[Any], str]:
    """A rule's one parameter: the plan that the wildcard names, as canonical text.

    Without the inputs that help to make it, which are the rule's inputs: campaigns that share what
    is made do not make it anew in turn. Snakemake compares parameters by their repr; a text has
    only one.
    """

    def parameter(wildcards: Any) -> str:
        plan = plans[wildcards[wildcard]]
        return canonical_json({key: plan[key] for key in plan if key not in HELPERS})

    return parameter


def one_of(names: Iterable[str]) -> str:
    """A wildcard's constraint: exactly these names; nothing matches where there are none."""
    return "|".join(re.escape(name) for name in sorted(names)) or "(?!)"
