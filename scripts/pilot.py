"""Rule script: what the pilot found, on the console."""

import sys
from pathlib import Path

from llm_energy.system.scripting import UserError, rule_script

with rule_script(snakemake):
    if not snakemake.input:
        raise UserError("name it on the command line: snakemake pilot ...")
    from llm_energy.campaign.campaign import load_campaign
    from llm_energy.campaign.pilot_config import pilot_config
    from llm_energy.workflow.pilot import findings

    root = Path(snakemake.scriptdir).parent
    campaign, pilot = (
        load_campaign(config, files=[], root=root, lock=root / "config" / "models.lock.yaml")
        for config in (snakemake.config, pilot_config(snakemake.config))
    )
    for line in findings(campaign, pilot, Path(snakemake.params.results)):
        print(line, file=sys.stderr)
