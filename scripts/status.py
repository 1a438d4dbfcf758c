"""Rule script: where every measurement of the campaign stands; writes campaign.tsv."""

import sys
from pathlib import Path

from llm_energy.system.scripting import rule_script

with rule_script(snakemake):
    from llm_energy.workflow.opening import campaign_of_script
    from llm_energy.workflow.status import as_text, standings, write_manifest

    campaign, results = campaign_of_script(snakemake), Path(snakemake.params.results)
    rows = standings(campaign, results)
    print(as_text(campaign, results, rows), end="", flush=True)
    if results.exists():
        try:
            print(f"Table: {write_manifest(results, rows)}", flush=True)
        except OSError as error:  # only looked at: it need not be writable
            print(f"campaign.tsv is not written: {error}", file=sys.stderr)
