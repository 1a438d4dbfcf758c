"""This machine against the needs of the campaign."""


rule preflight:
    log:
        f"logs/{CAMPAIGN.name}/preflight.log",
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    params:
        results=RESULTS,
    message:
        "Looking at this machine"
    script:
        "../scripts/preflight.py"
