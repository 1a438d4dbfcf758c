"""Models and prompts: everything else that measurements wait for, and the `lock` target.

Markers are ancient() to each other: what a marker says is in its path, so one that is written
again says nothing new. A marker that is there needs nothing any more, and stays until its job
replaces it (`update`): another campaign may use it at this moment, or have made it since this one
was planned.
"""

from llm_energy.system.cache import (
    environment_marker,
    model_marker,
    prompts_marker,
    until_made,
)
from llm_energy.inputs.pin import to_pin
from llm_energy.inputs.recipes import as_text
from llm_energy.system.files import canonical_json


rule model:
    output:
        update(model_marker("{model}")),
    log:
        "logs/models/{model}.log",
    wildcard_constraints:
        model=one_of(INPUTS.models),
    priority: BEFORE_MEASURING
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    threads: ALONE
    params:
        recipe=recipe_parameter(INPUTS.models, "model"),
        planned_s=lambda wildcards, input: SNAKEMAKE.planned_s,
    message:
        "Fetching or finding the model {wildcards.model}"
    script:
        "../scripts/model.py"


rule convert:
    input:
        model=lambda wildcards: ancient(
            until_made(
                model_marker(wildcards.model),
                model_marker(INPUTS.conversions[wildcards.model].model),
            )
        ),
        environment=lambda wildcards: ancient(
            until_made(
                model_marker(wildcards.model),
                environment_marker(INPUTS.conversions[wildcards.model].environment),
            )
        ),
    output:
        update(model_marker("{model}")),
    log:
        "logs/models/{model}.log",
    wildcard_constraints:
        model=one_of(INPUTS.conversions),
    priority: BEFORE_MEASURING
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    threads: ALONE
    params:
        # Snakemake does not compare what it makes of a function of `input`: the path holds all
        # that decides the content, and the environment that converts may differ.
        recipe=lambda wildcards, input: as_text(INPUTS.conversions[wildcards.model]),
        planned_s=lambda wildcards, input: SNAKEMAKE.planned_s,
    message:
        "Converting the model {wildcards.model}"
    script:
        "../scripts/convert.py"


rule prompts:
    input:
        model=lambda wildcards: ancient(
            until_made(
                prompts_marker(wildcards.prompts),
                model_marker(INPUTS.prompts[wildcards.prompts].model),
            )
        ),
        environment=lambda wildcards: ancient(
            until_made(
                prompts_marker(wildcards.prompts),
                environment_marker(INPUTS.prompts[wildcards.prompts].environment),
            )
        ),
    output:
        update(prompts_marker("{prompts}")),
    log:
        "logs/prompts/{prompts}.log",
    wildcard_constraints:
        prompts=one_of(INPUTS.prompts),
    priority: BEFORE_MEASURING
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    threads: ALONE
    params:
        # Not compared either: campaigns that share a set differ in the room that it may take.
        recipe=lambda wildcards, input: as_text(INPUTS.prompts[wildcards.prompts]),
        planned_s=lambda wildcards, input: SNAKEMAKE.planned_s,
    message:
        "Fixing the token ids of the prompts {wildcards.prompts}"
    script:
        "../scripts/prompts.py"


rule lock:
    log:
        f"logs/{CAMPAIGN.name}/lock.log",
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    params:
        plan=canonical_json(to_pin(CAMPAIGN)),
        lock=str(ROOT / LOCK_FILE),
    message:
        "Pinning the identities that the campaign leaves open"
    script:
        "../scripts/lock.py"


rule inputs:
    """Everything that measurements wait for, so that a machine may go offline after it."""
    input:
        [environment_marker(id_) for id_ in INPUTS.environments],
        [model_marker(id_) for id_ in [*INPUTS.models, *INPUTS.conversions]],
        [prompts_marker(id_) for id_ in INPUTS.prompts],
    localrule: True
