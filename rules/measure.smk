"""One job for each measurement: experiment × cycle; and for anchors, which are no cycles."""


rule measure:
    input:
        REQUESTED.before_measuring,
    output:
        f"{RESULTS}/{result_pattern(MEASURED)}",
    log:
        f"logs/{CAMPAIGN.name}/measure/{{spec}}/cycle-{{cycle}}.log",
    priority: REQUESTED.priority
    # On a cluster, what is measured in one allocation.
    group:
        block_group(LANES, SNAKEMAKE)
    conda:
        "../envs/workflow/environment.yaml"
    threads: SNAKEMAKE.cores if LANES == 1 else 1
    resources:
        **lane_resources(LANES, SNAKEMAKE),
        **gpu_resources(CAMPAIGN, LANES, SNAKEMAKE),
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
    group:
        None if SNAKEMAKE.allocations is None else "anchor"


rule measurements:
    """All measurements of the campaign, without tables and report."""
    input:
        MEASUREMENTS,
    localrule: True
