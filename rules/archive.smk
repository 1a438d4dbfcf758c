"""The campaign as one file for its readers, and whether its results are what they say."""


rule archive:
    input:
        rules.all.input,
        report=f"{RESULTS}/report.html",
    log:
        f"logs/{CAMPAIGN.name}/archive.log",
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    params:
        files=[str(path) for path in OPENED.files],
    message:
        "Checking all results and packing the archive"
    script:
        "../scripts/archive.py"


rule verify:
    log:
        f"logs/{CAMPAIGN.name}/verify.log",
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    params:
        results=RESULTS,
    message:
        "Checking every result that is there"
    script:
        "../scripts/verify.py"
