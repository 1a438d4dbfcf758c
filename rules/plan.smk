"""The plan of the campaign, its pilot, and how far it is."""


rule plan:
    log:
        f"logs/{CAMPAIGN.name}/plan.log",
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    params:
        results=RESULTS,
        lanes=LANES,
        allocations=SNAKEMAKE.allocations,
    script:
        "../scripts/plan.py"


rule pilot:
    """Two short cycles of everything, apart from the campaign's results."""
    input:
        MEASUREMENTS if OPENED.is_pilot else [],
    log:
        f"logs/{CAMPAIGN.name}/pilot.log",
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    params:
        results=RESULTS,
        lanes=most_at_once(CAMPAIGN, SNAKEMAKE),
        allocations=SNAKEMAKE.allocations,
    script:
        "../scripts/pilot.py"


rule status:
    log:
        f"logs/{CAMPAIGN.name}/status.log",
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    params:
        results=RESULTS,
    script:
        "../scripts/status.py"
