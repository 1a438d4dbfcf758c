"""One job for each measurement: experiment × cycle."""


def needed_before(wildcards, output=None):
    """What a measurement waits for: nothing once its result exists.

    Then no age of anything, and no lost metadata, can make Snakemake measure again.
    """
    path = f"{RESULTS}/measurements/{wildcards.experiment}/{wildcards.spec}/cycle-{wildcards.cycle}.json"
    if Path(path).exists():
        return []
    experiment = CELLS[path].experiment
    return [
        f".cache/environments/{experiment.environment_id}/ready.json",
        f".cache/models/{experiment.model_id}/ready.json",
        f".cache/prompts/{experiment.prompts_id}/prompts.json",
    ]


def rank(wildcards):
    """Planned position as a priority: the earlier, the higher."""
    path = f"{RESULTS}/measurements/{wildcards.experiment}/{wildcards.spec}/cycle-{wildcards.cycle}.json"
    return len(CELLS) - CELLS[path].position


rule measure:
    input:
        needed_before,
    output:
        f"{RESULTS}/measurements/{{experiment}}/{{spec}}/cycle-{{cycle}}.json",
    log:
        f"logs/{CAMPAIGN.name}/measure/{{experiment}}/{{spec}}/cycle-{{cycle}}.log",
    priority: rank
    conda:
        "../envs/workflow/environment.yaml"
    threads: workflow.cores
    resources:
        gpu=1,
    params:
        spec="{spec}",
    script:
        "../scripts/measure.py"


rule measurements:
    """All measurements of the campaign, without tables and report."""
    input:
        MEASUREMENTS,
    localrule: True
