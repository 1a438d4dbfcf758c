"""What would be measured, in which order, and how long it would take."""


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
