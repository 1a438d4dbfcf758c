"""Measure the energy and efficiency of LLM inference: from a campaign file to a report.

    snakemake --cores 1 --profile workflow-profile [--configfile config/campaigns/NAME.yaml]

A campaign is one configuration file. Everything it produces lies under results/{campaign}/.
"""

from snakemake.utils import min_version

min_version("9.25")


include: "rules/common.smk"
include: "rules/cycles.smk"
include: "rules/plan.smk"
include: "rules/preflight.smk"
include: "rules/environments.smk"
include: "rules/compose.smk"
include: "rules/inputs.smk"
include: "rules/measure.smk"
include: "rules/report.smk"
include: "rules/compare.smk"
include: "rules/calibration.smk"
include: "rules/export.smk"


rule all:
    default_target: True
    input:
        MEASUREMENTS,
        f"{RESULTS}/report.html",
        f"{RESULTS}/tables",


include: "rules/archive.smk"
include: "rules/named.smk"


onstart:
    HOOKS.start()


onsuccess:
    HOOKS.finish(complete=True)


onerror:
    HOOKS.finish(complete=False)
