"""The environments that engines run in: one job for each backend."""

from llm_energy.inputs.recipes import one_of, recipe_parameter


rule environment:
    output:
        update(environment_marker("{environment}")),
    log:
        "logs/environments/{environment}.log",
    wildcard_constraints:
        environment=one_of(INPUTS.environments),
    priority: BEFORE_MEASURING
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    threads: ALONE
    params:
        recipe=recipe_parameter(INPUTS.environments, "environment"),
        planned_s=lambda wildcards, input: SNAKEMAKE.planned_s,
    message:
        "Making the environment {wildcards.environment} ready"
    script:
        "../scripts/environment.py"
