"""Rule script: what the pilot found, on the console."""

import sys
from pathlib import Path

from llm_energy.system.scripting import UserError, rule_script

with rule_script(snakemake):
    if not snakemake.input:
        raise UserError("name it on the command line: snakemake pilot ...")
    from llm_energy.workflow.opening import campaign_of_script
    from llm_energy.workflow.parallel_sessions import concurrency_here
    from llm_energy.workflow.pilot import findings

    campaign, pilot = campaign_of_script(snakemake), campaign_of_script(snakemake, pilot=True)
    lanes, allocations = snakemake.params.lanes, snakemake.params.allocations
    planned = concurrency_here(campaign, lanes, allocations=allocations)
    for line in findings(campaign, pilot, Path(snakemake.params.results), concurrency=planned):
        print(line, file=sys.stderr)
