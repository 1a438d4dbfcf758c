"""Rule script: what the pilot found, on the console."""

import sys
from pathlib import Path

from llm_energy.system.scripting import UserError, rule_script

with rule_script(snakemake):
    if not snakemake.input:
        raise UserError("name it on the command line: snakemake pilot ...")
    from llm_energy.workflow.opening import campaign_of_script
    from llm_energy.workflow.pilot import findings

    campaign, pilot = campaign_of_script(snakemake), campaign_of_script(snakemake, pilot=True)
    results, at_once = Path(snakemake.params.results), snakemake.params.at_once
    for line in findings(campaign, pilot, results, at_once=at_once):
        print(line, file=sys.stderr)
