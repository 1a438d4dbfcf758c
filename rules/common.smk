"""The campaign, and what the rules share; what is not a rule stands in scripts/llm_energy/workflow/."""

import sys
from pathlib import Path

# Not workflow.basedir: that is the folder of the first Snakefile, which may be workflow/Snakefile.
ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
if not (ROOT / "scripts/llm_energy").is_dir():
    sys.exit(
        "llm-energy-workflow: a module needs the files that lie beside its rules: clone the "
        "repository, and name its Snakefile by a path instead of github(...)"
    )
sys.path.insert(0, str(ROOT / "scripts"))

from llm_energy.workflow.snakemake_internals import SnakemakeInternals
from llm_energy.workflow.termination import handle_sigterm_in_a_thread

handle_sigterm_in_a_thread(workflow)
SNAKEMAKE = SnakemakeInternals(workflow)
SNAKEMAKE.hide_pandas()
SNAKEMAKE.collect_garbage_seldom()
SNAKEMAKE.quieten()

from llm_energy.workflow.opening import (
    LOCK_FILE,
    default_campaign,
    open_campaign,
    refuse_place,
)

refuse_place(ROOT)

# A campaign is one file: the default one is not merged under another that is given.
if not SNAKEMAKE.given_config_files:

    configfile: default_campaign(ROOT)


OPENED = open_campaign(config, root=ROOT, snakemake=SNAKEMAKE)
CAMPAIGN, RESULTS = OPENED.campaign, OPENED.results

# The rule `status` does the same, after all rules were read and jobs were planned.
if SNAKEMAKE.only_target(ROOT / "Snakefile") == "status":
    from llm_energy.workflow.status_output import show_at_once

    show_at_once(OPENED, config)

from llm_energy.inputs.recipes import campaign_recipes
from llm_energy.results.layout import ANCHORS, MEASURED, SPEC, result_pattern
from llm_energy.system.cache import environment_marker, model_marker, prompts_marker
from llm_energy.workflow.hooks import Hooks
from llm_energy.workflow.lanes import (
    block_group,
    gpu_resources,
    lane_count,
    lane_resources,
    most_at_once,
)
from llm_energy.workflow.input_functions import inputs_of
from llm_energy.workflow.requested import Requested

INPUTS = campaign_recipes(CAMPAIGN, ROOT)
REQUESTED = Requested(OPENED, SNAKEMAKE, remeasure=config.get("remeasure", False))
CALIBRATED = CAMPAIGN.experiment(CAMPAIGN.reference or CAMPAIGN.experiments[0].name)
"""The experiment whose load is read both ways by `calibrate_nvidia_smi`."""
LANES = lane_count(CAMPAIGN, SNAKEMAKE)
"""Measurements that may run at the same time."""
ALONE = SNAKEMAKE.cores if LANES > 1 else 1
"""Threads of what must not run beside measurements, of which each takes all where one runs alone."""
HOOKS = Hooks(
    OPENED,
    REQUESTED,
    SNAKEMAKE,
    config=config,
    inputs=INPUTS,
    calibrated=CALIBRATED,
    at_once=LANES,
)
BEFORE_MEASURING = 10**6
"""Priority of what measurements wait for: above that of every measurement."""


wildcard_constraints:
    spec=SPEC,
    cycle=r"\d+",
