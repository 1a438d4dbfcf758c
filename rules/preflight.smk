"""What this machine has, what the campaign will need of it, and what is in the way."""


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
