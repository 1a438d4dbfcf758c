"""A campaign's jobs without the workflow: equal numbers of jobs, inputs, outputs and directives.

`benchmarks/scale.py` compares its dry run with that of the workflow, so that what Snakemake itself
takes is not counted as the workflow's. `bare.json` lists the results.

With `--config functions=true` the inputs and the priority of a measurement, and the inputs of what
comes after all of them, are functions of wildcards, as those of any workflow in which jobs of one
rule differ in their inputs.
"""

import json
from pathlib import Path

FUNCTIONS = config.get("functions", False)
MEASUREMENTS = json.loads(Path("bare.json").read_text())
MARKERS = ["bare/environments/sleep.json", "bare/models/pillow.json", "bare/prompts/sheep.json"]
POSITIONS = {path: position for position, path in enumerate(MEASUREMENTS)}


def measurements(wildcards):
    return MEASUREMENTS


def markers(wildcards):
    return MARKERS


def position(wildcards):
    path = f"results/bare/measurements/{wildcards.spec}/cycle-{wildcards.cycle}.json"
    return len(POSITIONS) - POSITIONS[path]


rule all:
    input:
        measurements if FUNCTIONS else MEASUREMENTS,
        "bare/report.html",
        "bare/tables",


rule environment:
    output:
        update("bare/environments/{environment}.json"),
    log:
        "logs/bare/environments/{environment}.log",
    priority: 10**6
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    script:
        "../scripts/environment.py"


rule model:
    output:
        update("bare/models/{model}.json"),
    log:
        "logs/bare/models/{model}.log",
    priority: 10**6
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    script:
        "../scripts/model.py"


rule prompts:
    input:
        model=ancient("bare/models/pillow.json"),
        environment=ancient("bare/environments/sleep.json"),
    output:
        update("bare/prompts/{prompts}.json"),
    log:
        "logs/bare/prompts/{prompts}.log",
    priority: 10**6
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    script:
        "../scripts/prompts.py"


rule measure:
    input:
        markers if FUNCTIONS else MARKERS,
    output:
        "results/bare/measurements/{spec}/cycle-{cycle}.json",
    log:
        "logs/bare/measure/{spec}/cycle-{cycle}.log",
    wildcard_constraints:
        spec="[0-9a-f]{12}",
        cycle=r"\d+",
    priority: position if FUNCTIONS else 1
    conda:
        "../envs/workflow/environment.yaml"
    threads: workflow.cores
    resources:
        gpu=1,
    params:
        spec="{spec}",
    script:
        "../scripts/measure.py"


rule report:
    input:
        measurements if FUNCTIONS else MEASUREMENTS,
    output:
        page="bare/report.html",
        tables=directory("bare/tables"),
    log:
        "logs/bare/report.log",
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    script:
        "../scripts/report.py"
