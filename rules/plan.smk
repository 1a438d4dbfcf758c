"""What would be measured, in which order and how long it would take; and how far it is."""


rule plan:
    log:
        f"logs/{CAMPAIGN.name}/plan.log",
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    params:
        root=workflow.basedir,
        results=RESULTS,
    script:
        "../scripts/plan.py"


rule status:
    log:
        f"logs/{CAMPAIGN.name}/status.log",
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    params:
        root=workflow.basedir,
        results=RESULTS,
    script:
        "../scripts/status.py"
