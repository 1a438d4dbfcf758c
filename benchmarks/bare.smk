"""A campaign's jobs without the workflow: equal numbers of jobs, inputs, outputs and directives.

`benchmarks/scale.py` compares its dry run with that of the workflow, so that what Snakemake itself
takes is not counted as the workflow's. `bare.json` lists the results.
"""

import json
from pathlib import Path

MEASUREMENTS = json.loads(Path("bare.json").read_text())


rule all:
    input:
        MEASUREMENTS,
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
        "bare/environments/sleep.json",
        "bare/models/pillow.json",
        "bare/prompts/sheep.json",
    output:
        "results/bare/measurements/{spec}/cycle-{cycle}.json",
    log:
        "logs/bare/measure/{spec}/cycle-{cycle}.log",
    wildcard_constraints:
        spec="[0-9a-f]{12}",
        cycle=r"\d+",
    priority: 1
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
        MEASUREMENTS,
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
