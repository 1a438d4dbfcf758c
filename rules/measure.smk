"""One job for each measurement: experiment × cycle."""


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
