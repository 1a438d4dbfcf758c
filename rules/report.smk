"""Figures and tables for papers, and the page that holds everything.

One job: to load what draws and writes takes as long as all that it does for a small campaign.
"""


rule report:
    input:
        findings=f"{SUMMARY}/summary.json",
        tables=SUMMARY_TABLES,
    output:
        page=report(
            f"{RESULTS}/report.html",
            caption="captions/report.rst",
            category="Report",
            labels={"page": "report"},
        ),
        figures=report(
            directory(f"{RESULTS}/figures"),
            patterns=["{name}.svg"],
            caption="captions/figure.rst",
            category="Figures",
            labels={"figure": "{name}"},
        ),
        tables=report(
            directory(f"{RESULTS}/tables"),
            patterns=["{name}.csv"],
            caption="captions/table.rst",
            category="Tables",
            labels={"table": "{name}", "format": "CSV"},
        ),
    log:
        f"logs/{CAMPAIGN.name}/report.log",
    localrule: True
    conda:
        "../envs/workflow/environment.yaml"
    script:
        "../scripts/report.py"
