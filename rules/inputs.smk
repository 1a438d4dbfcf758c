"""Models and prompts: everything else that measurements wait for, and the `lock` target."""

from llm_energy.inputs.lock import to_pin


# Inputs are ancient(): a marker that is written again says nothing new, its content is in its path.
def plan_of(plans, wildcard):
    """A job's plan as its one parameter: canonical text, since params are compared by repr."""
    return lambda wildcards: canonical_json(plans[wildcards[wildcard]])


rule model:
    output:
        ".cache/models/{model}/ready.json",
    log:
        "logs/models/{model}.log",
    wildcard_constraints:
        model=one_of(INPUTS.models),
    priority: BEFORE_MEASURING
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    params:
        plan=plan_of(INPUTS.models, "model"),
    message:
        "Fetching or finding the model {wildcards.model}"
    script:
        "../scripts/model.py"


rule convert:
    input:
        model=lambda wildcards: ancient(
            f".cache/models/{INPUTS.conversions[wildcards.model]['model']}/ready.json"
        ),
        environment=lambda wildcards: ancient(
            f".cache/environments/{INPUTS.conversions[wildcards.model]['environment']}/ready.json"
        ),
    output:
        ".cache/models/{model}/ready.json",
    log:
        "logs/models/{model}.log",
    wildcard_constraints:
        model=one_of(INPUTS.conversions),
    priority: BEFORE_MEASURING
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    params:
        plan=plan_of(INPUTS.conversions, "model"),
    message:
        "Converting the model {wildcards.model}"
    script:
        "../scripts/convert.py"


rule prompts:
    input:
        model=lambda wildcards: ancient(
            f".cache/models/{INPUTS.prompts[wildcards.prompts]['model']}/ready.json"
        ),
        environment=lambda wildcards: ancient(
            f".cache/environments/{INPUTS.prompts[wildcards.prompts]['environment']}/ready.json"
        ),
    output:
        ".cache/prompts/{prompts}/prompts.json",
    log:
        "logs/prompts/{prompts}.log",
    wildcard_constraints:
        prompts=one_of(INPUTS.prompts),
    priority: BEFORE_MEASURING
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    params:
        plan=plan_of(INPUTS.prompts, "prompts"),
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
        lock=str(LOCK_FILE),
    message:
        "Pinning the identities that the campaign leaves open"
    script:
        "../scripts/lock.py"
