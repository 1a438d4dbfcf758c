"""The power series of what is measured so far, as CSV and line protocol for other tools."""


rule export:
    log:
        f"logs/{CAMPAIGN.name}/export.log",
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    params:
        results=RESULTS,
    message:
        "Writing the power series for other tools"
    script:
        "../scripts/export.py"
