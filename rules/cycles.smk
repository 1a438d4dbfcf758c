"""Cycles in two stages, decided by the first ones; or rates, each decided by the one before it."""

if CAMPAIGN.adaptive:

    checkpoint decide:
        input:
            REQUESTED.first_results,
        output:
            REQUESTED.decision_pattern,
        log:
            f"logs/{CAMPAIGN.name}/decide/{{spec}}.log",
        priority: REQUESTED.deciding_priority
        localrule: True
        conda:
            "../envs/workflow/environment.yaml"
        threads: ALONE
        params:
            target=CAMPAIGN.adaptive.target_relative_half_width,
            # Snakemake does not compare what it makes of a function of `input`: a name says nothing.
            experiment=lambda wildcards, input: REQUESTED.names[wildcards.spec],
        message:
            "Deciding how many cycles {params.experiment} needs"
        script:
            "../scripts/decide.py"

elif CAMPAIGN.searches:

    checkpoint judge:
        input:
            REQUESTED.first_results,
        output:
            REQUESTED.decision_pattern,
        log:
            f"logs/{CAMPAIGN.name}/judge/{{spec}}.log",
        priority: REQUESTED.deciding_priority
        localrule: True
        conda:
            "../envs/workflow/environment.yaml"
        threads: ALONE
        params:
            objectives=CAMPAIGN.slo.model_dump(),
            results=RESULTS,
            experiment=lambda wildcards, input: REQUESTED.names[wildcards.spec],
        message:
            "Judging {params.experiment} by the objectives"
        script:
            "../scripts/judge.py"


MEASUREMENTS = [*REQUESTED.measurements(checkpoints), REQUESTED.all_anchors]
"""Input of every target behind the measurements: what is requested of them, and anchors."""
