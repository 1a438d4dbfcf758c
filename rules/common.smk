"""The campaign, and the few helpers that the rules share."""

import sys
from pathlib import Path

# Not workflow.basedir: that is the folder of the first Snakefile, which may be workflow/Snakefile.
ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
SCRIPTS = ROOT / "scripts"
sys.path.insert(0, str(SCRIPTS))

# To compare parameters Snakemake loads pandas if it finds it, though no parameter here is a table:
# a third of the time of a command that has nothing to do. So it finds none until the end hooks;
# unless another workflow uses this one, and may want it.
if workflow.modifier.parent_modifier is None:
    sys.modules.setdefault("pandas", None)

from llm_energy.system.cache import (
    CACHE,
    environment_marker,
    model_marker,
    prompts_marker,
)
from llm_energy.campaign.campaign import load_campaign
from llm_energy.campaign.line_numbers import read_files
from llm_energy.campaign.problems import CampaignError
from llm_energy.campaign import pilot_config
from llm_energy.preflight.obstacles import obstacles
from llm_energy.workflow.invalid import invalid_results
from llm_energy.workflow.lifecycle import Lifecycle, LifecycleError
from llm_energy.preflight.blocking import gpu_obstacles
from llm_energy.runs.run import Run
from llm_energy.system.scripting import disk_refusal
from llm_energy.workflow import conclusion
from llm_energy.workflow.status import standings, write_manifest

# As in every workflow: config/config.yaml of the working directory, or else the one that ships.
DEFAULT_CAMPAIGN = next(
    path
    for folder in (Path.cwd(), ROOT)
    if (path := folder / "config" / "config.yaml").exists()
)

# A campaign is one file: the default one is not merged under another that is given.
if not workflow.overwrite_configfiles:
    try:
        read_files([DEFAULT_CAMPAIGN])  # names the line, which Snakemake does not
    except CampaignError as error:
        sys.exit("\n".join(error.messages))

    configfile: str(DEFAULT_CAMPAIGN)


CONFIG_FILES = [
    Path(path) for path in workflow.overwrite_configfiles or workflow.configfiles
]
# On the command line Snakemake takes only True and False for truth values; YAML has more.
for key in ("remeasure", "new_device"):
    if str(config.get(key)).lower() in ("true", "false"):
        config[key] = str(config[key]).lower() == "true"

LOCK_FILE = ROOT / "config" / "models.lock.yaml"

# A job in an allocation of a cluster reads all this again, with other arguments. It must find the
# run that it belongs to, before Snakemake deletes what the job is about to make.
SUBMITTED_BY = Run.of_invocation() if workflow.remote_exec else None
if workflow.remote_exec and SUBMITTED_BY is None:
    sys.exit("The workflow that submitted this job has ended: nothing is done.")

# Targets are not known yet while rules are read, but for the command line itself.
IS_PILOT = (
    SUBMITTED_BY.results.name == pilot_config.FOLDER
    if SUBMITTED_BY
    else "pilot" in sys.argv
)

try:
    CAMPAIGN = load_campaign(
        pilot_config.pilot_config(config) if IS_PILOT else config,
        files=CONFIG_FILES,
        root=ROOT,
        lock=LOCK_FILE,
        allow_unpinned="lock" in sys.argv,
    )
except CampaignError as error:
    sys.exit("\n".join(error.messages))

RESULTS = Path(
    "results", CAMPAIGN.name, pilot_config.FOLDER if IS_PILOT else ""
).as_posix()
PLANNED = {f"{RESULTS}/{planned.result_path}": planned for planned in CAMPAIGN.schedule}
INVALID = set()
if config.get("remeasure") == "invalid":
    INVALID |= {
        *invalid_results(Path(RESULTS), [c.result_path for c in CAMPAIGN.schedule])
    }
LIFECYCLE = Lifecycle(CAMPAIGN, results=Path(RESULTS), scripts=SCRIPTS)

BEFORE_MEASURING = 10**6
"""Priority of what measurements wait for: above the rank of every measurement."""


wildcard_constraints:
    experiment=r"[A-Za-z0-9._=-]+",
    spec=r"[0-9a-f]{12}",
    cycle=r"\d+",


def planned_of(wildcards):
    """The planned measurement of a measuring job."""
    return PLANNED[
        f"{RESULTS}/measurements/{wildcards.experiment}/{wildcards.spec}/cycle-{wildcards.cycle}.json"
    ]


def needed_before(wildcards):
    """What a measurement waits for: nothing once its result exists.

    Then no age of anything, and no lost metadata, can make Snakemake measure again.
    """
    if workflow.remote_exec:
        # Told to no job on a cluster: one failing measurement must not stop its block.
        workflow.execution_settings.keep_going = True
    planned = planned_of(wildcards)
    if planned.result_path in INVALID:
        # As if --forcerun had named it, where it is asked for at all.
        workflow.dag.forcefiles.add(f"{RESULTS}/{planned.result_path}")
    elif Path(RESULTS, planned.result_path).exists():
        return []
    return inputs_of(planned.experiment)


def inputs_of(experiment):
    """The markers of all that an experiment is measured with."""
    return [
        environment_marker(experiment.environment.id),
        model_marker(experiment.model.id),
        prompts_marker(experiment.prompts.id),
    ]


def rank(wildcards):
    """Planned position as a priority: the earlier, the higher."""
    planned = planned_of(wildcards)
    return len(PLANNED) - planned.position + (planned in FIRST)


def gpus_asked_for(wildcards):
    """On this machine a token for exclusion; on a cluster, GPUs that an allocation must have."""
    return int(workflow.local_exec or CAMPAIGN.measurement.on_gpu)


def start_run():
    """Open the run, if this invocation measures or calibrates."""
    if workflow.touch:
        return
    jobs = list(workflow.dag.needrun_jobs())
    needed = [PLANNED[str(job.output[0])] for job in jobs if job.rule.name == "measure"]
    needed += [ANCHORS[str(job.output[0])] for job in jobs if job.rule.name == "anchor"]
    further = further_measurements(jobs, needed)
    calibrated = [CALIBRATED for job in jobs if job.rule.name == "calibrate_nvidia_smi"]
    if calibrated and not CAMPAIGN.measurement.on_gpu:
        sys.exit(
            f"calibrate_nvidia_smi: campaign `{CAMPAIGN.name}` measures on the CPU, nvidia-smi "
            "reads GPUs; name a campaign with `measurement.device: gpu`"
        )
    spreads = workflow.non_local_exec
    if spreads and any(job.rule.name == "decide" for job in jobs):
        # Snakemake adds to groups that are submitted already what a checkpoint asks for.
        sys.exit(
            f"campaign `{CAMPAIGN.name}` decides its cycles as it goes, which cannot be spread "
            "over a cluster: give `cycles` a number, or use one allocation (docs/slurm.md)"
        )
    if needed or further or calibrated:
        lines = obstacles(INPUTS, cache=CACHE)
        if lines := [*lines, *([] if spreads else gpu_obstacles(CAMPAIGN))]:
            sys.exit("\n".join(lines))
    try:
        LIFECYCLE.start(
            needed,
            calibrated=calibrated,
            further=further,
            remeasure=config.get("remeasure", False),
            new_device=config.get("new_device", False),
            spreads=spreads,
        )
    except LifecycleError as error:
        sys.exit(str(error))
    except OSError as error:
        if (refusal := disk_refusal(error)) is None:
            raise
        sys.exit(refusal)


def pilot_findings():
    """What a pilot found that did not come to its end."""
    from llm_energy.workflow.pilot import findings  # SciPy

    campaign = load_campaign(config, files=CONFIG_FILES, root=ROOT, lock=LOCK_FILE)
    return findings(campaign, CAMPAIGN, Path(RESULTS))


def finish_run(complete):
    """Stop what this run started, and say how it ended."""
    measured = LIFECYCLE.measures
    LIFECYCLE.stop()
    if workflow.touch:
        return
    if IS_PILOT:
        lines = [] if complete else pilot_findings()
    elif complete:
        lines = conclusion.success(Path(RESULTS)) if measured else []
    elif not any(job.rule.name == "measure" for job in workflow.dag.jobs):
        lines = []  # a target without measurements failed, and said so
    else:
        if "pandas" in sys.modules and sys.modules["pandas"] is None:
            del sys.modules["pandas"]  # the partial report needs it
        lines = conclusion.failure(CAMPAIGN, Path(RESULTS), anchors=ANCHORS.values())
    for line in lines:
        print(line, file=sys.stderr)
    if measured:
        try:
            write_manifest(Path(RESULTS), standings(CAMPAIGN, Path(RESULTS)))
        except OSError as error:
            print(f"No campaign.tsv: {disk_refusal(error) or error}", file=sys.stderr)
