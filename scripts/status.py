"""Rule script: where every measurement of the campaign stands; writes campaign.tsv."""

import sys
from pathlib import Path

from llm_energy.system.scripting import rule_script

with rule_script(snakemake):
    from llm_energy.workflow.opening import campaign_of_script
    from llm_energy.workflow.status import as_text, standings, write_manifest
    from llm_energy.workflow.status_numbers import as_json, campaign_status

    campaign, results = campaign_of_script(snakemake), Path(snakemake.params.results)
    rows = standings(campaign, results)
    for_programs = snakemake.config.get("status") == "json"
    if for_programs:
        print(as_json(campaign_status(campaign, results, rows), rows), flush=True)
    else:
        print(as_text(campaign, results, rows), end="", flush=True)
    if results.exists():
        try:
            path = write_manifest(results, rows)
            print(f"Table: {path}", file=sys.stderr if for_programs else sys.stdout, flush=True)
        except OSError as error:  # only looked at: it need not be writable
            print(f"campaign.tsv is not written: {error}", file=sys.stderr)
