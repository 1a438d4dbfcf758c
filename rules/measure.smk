"""One job for each measurement: experiment × cycle; and for anchors, which are no cycles."""


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
    # Where jobs are sent elsewhere no number of cores is known here.
    threads: workflow.resource_settings.cores or 1
    resources:
        gpu=gpus_asked_for,
    params:
        spec="{spec}",
    script:
        "../scripts/measure.py"


use rule measure as anchor with:
    input:
        needed_before_anchor,
    output:
        f"{RESULTS}/anchors/{{experiment}}/{{spec}}/cycle-{{cycle}}.json",
    log:
        f"logs/{CAMPAIGN.name}/anchor/{{experiment}}/{{spec}}/cycle-{{cycle}}.log",
    # Before all that it is the anchor of.
    priority: len(PLANNED) + 2


rule measurements:
    """All measurements of the campaign, without tables and report."""
    input:
        MEASUREMENTS,
        list(ANCHORS),
    localrule: True
