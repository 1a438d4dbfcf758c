"""Figures and tables for papers, and the page that holds everything."""


rule figures:
    input:
        findings=f"{SUMMARY}/summary.json",
        tables=SUMMARY_TABLES,
    output:
        report(
            directory(f"{RESULTS}/figures"),
            patterns=["{name}.svg"],
            caption="captions/figure.rst",
            category="Figures",
            labels={"figure": "{name}"},
        ),
    log:
        f"logs/{CAMPAIGN.name}/figures.log",
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    script:
        "../scripts/figures.py"


rule tables:
    input:
        findings=f"{SUMMARY}/summary.json",
        tables=SUMMARY_TABLES,
    output:
        report(
            directory(f"{RESULTS}/tables"),
            patterns=["{name}.csv"],
            caption="captions/table.rst",
            category="Tables",
            labels={"table": "{name}", "format": "CSV"},
        ),
    log:
        f"logs/{CAMPAIGN.name}/tables.log",
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    script:
        "../scripts/tables.py"


rule report:
    input:
        findings=f"{SUMMARY}/summary.json",
        tables=SUMMARY_TABLES,
        figures=f"{RESULTS}/figures",
        papers=f"{RESULTS}/tables",
    output:
        report(
            f"{RESULTS}/report.html",
            caption="captions/report.rst",
            category="Report",
            labels={"page": "report"},
        ),
    log:
        f"logs/{CAMPAIGN.name}/report.log",
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    script:
        "../scripts/report.py"
