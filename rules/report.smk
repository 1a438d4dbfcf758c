"""Figures, and the page that holds everything."""


rule figures:
    input:
        facts=f"{SUMMARY}/summary.json",
        measurements=f"{SUMMARY}/measurements.parquet",
        experiments=f"{SUMMARY}/experiments.parquet",
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
    conda:
        "../envs/workflow/environment.yaml"
    script:
        "../scripts/figures.py"


rule report:
    input:
        facts=f"{SUMMARY}/summary.json",
        measurements=f"{SUMMARY}/measurements.parquet",
        experiments=f"{SUMMARY}/experiments.parquet",
        figures=f"{RESULTS}/figures",
    output:
        report(
            f"{RESULTS}/report.html",
            caption="captions/report.rst",
            category="Report",
            labels={"page": "report"},
        ),
    log:
        f"logs/{CAMPAIGN.name}/report.log",
    conda:
        "../envs/workflow/environment.yaml"
    script:
        "../scripts/report.py"
