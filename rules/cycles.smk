"""Which measurements are asked for: all of them, or as many cycles as each experiment's own spread
asks for. One input function for each experiment: one that fails does not stop the others.
"""

from llm_energy.workflow.anchors import anchors
from llm_energy.workflow.decisions import (
    requested,
    decided,
    decision_path,
    first_cycles,
    may_follow,
)
from llm_energy.analysis.decision import read_decision
from llm_energy.results.result import ResultError
from llm_energy.workflow.settled import settled

FIRST = frozenset(first_cycles(CAMPAIGN))
"""Cells that are measured in any case."""

try:
    DECIDED = decided(CAMPAIGN, Path(RESULTS))
except ResultError as error:
    sys.exit(str(error))
for planned in FIRST:
    if planned.result_path in INVALID:  # measured again in this run
        DECIDED.pop(planned.experiment.name, None)

RESULTS_OF = {}
"""By experiment, the paths of all results that it may have, by cycle."""
for result, planned in PLANNED.items():
    RESULTS_OF.setdefault(planned.experiment.name, []).append(result)


SETTLED = settled(Path(RESULTS), PLANNED) - {f"{RESULTS}/{path}" for path in INVALID}


def forced():
    """Whether jobs are forced, so that what stands may be measured again."""
    return workflow.dag_settings.forceall or workflow.dag_settings.forcerun


def is_decided(experiment):
    """Whether an experiment's decision stood when this invocation began, and will stand."""
    return experiment.name in DECIDED and not forced()


def unsettled(results):
    """Those of `results` that Snakemake must know of: a job for each of thousands that has nothing
    to do costs it more time than the tables, the figures and the report take together.
    """
    return results if forced() else [path for path in results if path not in SETTLED]


def first_asked(wildcards):
    """What is measured in any case; one result where all are there, since a target without any
    input always runs."""
    results = [f"{RESULTS}/{planned.result_path}" for planned in first_cycles(CAMPAIGN)]
    return unsettled(results) or results[:1]


def first_results(wildcards):
    """The results of an experiment's first cycles."""
    return RESULTS_OF[wildcards.experiment][: CAMPAIGN.adaptive.first]


def decided_by(experiment):
    """An input function: what the decision of an experiment asks for beyond its first cycles.

    A decision that stands needs no job: neither its age nor lost metadata can undo it.
    """

    def results(wildcards):
        if is_decided(experiment):
            cycles = DECIDED[experiment.name]
        else:
            decision = checkpoints.decide.get(
                experiment=experiment.name, spec=experiment.spec_hash
            )
            cycles = read_decision(Path(decision.output[0])).cycles
        further = RESULTS_OF[experiment.name][CAMPAIGN.adaptive.first : cycles]
        return unsettled(further)

    return results


MEASUREMENTS = [first_asked]
if CAMPAIGN.adaptive:
    MEASUREMENTS += map(decided_by, CAMPAIGN.experiments)

    checkpoint decide:
        input:
            first_results,
        output:
            f"{RESULTS}/"
            + decision_path(
                CAMPAIGN.adaptive, experiment="{experiment}", spec_hash="{spec}"
            ),
        log:
            f"logs/{CAMPAIGN.name}/decide/{{experiment}}/{{spec}}.log",
        # All decisions come after all first cycles and before any other.
        priority: len(PLANNED) - len(FIRST) + 1
        localrule: True
        conda:
            "../envs/workflow/environment.yaml"
        params:
            target=CAMPAIGN.adaptive.target_relative_half_width,
        message:
            "Deciding how many cycles {wildcards.experiment} needs"
        script:
            "../scripts/decide.py"


def anchors_of_campaign():
    """The anchors that there are, and the one that what is missing needs in addition."""
    if IS_PILOT or CAMPAIGN.reference is None:
        return {}
    missing = [
        planned
        for planned in requested(CAMPAIGN, DECIDED)
        if planned.result_path in INVALID
        or not Path(RESULTS, planned.result_path).exists()
    ]
    found = anchors(CAMPAIGN, Path(RESULTS), to_measure=missing)
    return {f"{RESULTS}/{anchor.result_path}": anchor for anchor in found}


ANCHORS = anchors_of_campaign()


def planned():
    """Every result that is asked for, by the decisions as they stand now; relative to RESULTS."""
    schedule = requested(CAMPAIGN, decided(CAMPAIGN, Path(RESULTS)))
    return [planned.result_path for planned in schedule]


def needed_before_anchor(wildcards):
    """What an anchor waits for: nothing once its result exists."""
    path = (
        f"anchors/{wildcards.experiment}/{wildcards.spec}/cycle-{wildcards.cycle}.json"
    )
    exists = Path(RESULTS, path).exists()
    return [] if exists else inputs_of(CAMPAIGN.experiment(wildcards.experiment))


def further_measurements(jobs, needed):
    """What decisions that are still to be made may ask for."""
    undecided = [job.wildcards.experiment for job in jobs if job.rule.name == "decide"]
    again = (
        workflow.dag_settings.forceall or "measure" in workflow.dag_settings.forcerun
    )
    return may_follow(CAMPAIGN, Path(RESULTS), undecided, needed=needed, again=again)
