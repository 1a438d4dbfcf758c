"""One job for each measurement: experiment × cycle; and for anchors, which are no cycles."""


rule measure:
    input:
        REQUESTED.before_measuring,
    output:
        f"{RESULTS}/{result_pattern(MEASURED)}",
    log:
        f"logs/{CAMPAIGN.name}/measure/{{spec}}/cycle-{{cycle}}.log",
    priority: REQUESTED.priority
    conda:
        "../envs/workflow/environment.yaml"
    threads: SNAKEMAKE.cores if LANES == 1 else 1
    resources:
        **lane_resources(LANES, SNAKEMAKE),
        # A token for exclusion here; on a cluster, GPUs that an allocation must have.
        gpu=lambda wildcards: GPUS_OF_SET
        * int(not SNAKEMAKE.spreads or CAMPAIGN.measurement.on_gpu),
    params:
        spec="{spec}",
    script:
        "../scripts/measure.py"


use rule measure as anchor with:
    input:
        REQUESTED.before_anchor,
    output:
        f"{RESULTS}/{result_pattern(ANCHORS)}",
    log:
        f"logs/{CAMPAIGN.name}/anchor/{{spec}}/cycle-{{cycle}}.log",
    priority: REQUESTED.anchor_priority


rule measurements:
    """All measurements of the campaign, without tables and report."""
    input:
        MEASUREMENTS,
    localrule: True
