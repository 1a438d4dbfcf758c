"""From all measurements of the campaign to its tables, figures and page: one job.

To load what computes, draws and writes takes as long as all that it does for a small campaign.
"""

from llm_energy.system.files import sha256_of
from llm_energy.workflow.late_events import late_records

SUMMARY = f"{RESULTS}/summary"


rule report:
    input:
        MEASUREMENTS,
        # Only what the report there is lacks: it makes that too old.
        lambda wildcards: [str(path) for path in late_records(Path(RESULTS))],
    output:
        measurements=report(
            f"{SUMMARY}/measurements.csv",
            caption="captions/measurements.rst",
            category="Tables",
            labels={"table": "measurements", "format": "CSV"},
        ),
        measurements_parquet=f"{SUMMARY}/measurements.parquet",
        experiments=report(
            f"{SUMMARY}/experiments.csv",
            caption="captions/experiments.rst",
            category="Tables",
            labels={"table": "experiments", "format": "CSV"},
        ),
        experiments_parquet=f"{SUMMARY}/experiments.parquet",
        power=f"{SUMMARY}/power.parquet",
        latencies=f"{SUMMARY}/latencies.parquet",
        findings=f"{SUMMARY}/summary.json",
        headline=f"{SUMMARY}/headline.txt",
        tables=report(
            directory(f"{RESULTS}/tables"),
            patterns=["{name}.csv"],
            caption="captions/table.rst",
            category="Tables",
            labels={"table": "{name}", "format": "CSV"},
        ),
        figures=report(
            directory(f"{RESULTS}/figures"),
            patterns=["{name}.svg"],
            caption="captions/figure.rst",
            category="Figures",
            labels={"figure": "{name}"},
        ),
        page=report(
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
    params:
        design=CAMPAIGN.design,
        # The `input` trigger is off: this says when an experiment or cycle came or went.
        measurements=lambda wildcards: sha256_of(
            [sorted(REQUESTED.is_requested()), sorted(REQUESTED.anchors)]
        ),
        # Snakemake neither records nor compares what comes of a function of `input`.
        planned=lambda wildcards, input: REQUESTED.is_requested(),
    script:
        "../scripts/report.py"
