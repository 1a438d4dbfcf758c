"""Finished campaigns against each other: their names, joined by +, are the name of the page."""


rule compare:
    input:
        findings=lambda wildcards: [
            f"results/{name}/summary/summary.json"
            for name in wildcards.campaigns.split("+")
        ],
    output:
        "results/{campaigns}.html",
    log:
        "logs/compare/{campaigns}.log",
    wildcard_constraints:
        campaigns=r"[^/+]+(\+[^/+]+)+",
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    script:
        "../scripts/compare.py"
