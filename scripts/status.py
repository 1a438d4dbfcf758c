"""Rule script: where every measurement of the campaign stands; writes campaign.tsv."""

from pathlib import Path

from llm_energy.system.scripting import rule_script

with rule_script(snakemake):
    from llm_energy.workflow.opening import campaign_of_script
    from llm_energy.workflow.status_output import show

    show(
        campaign_of_script(snakemake),
        Path(snakemake.params.results),
        for_programs=snakemake.config.get("status") == "json",
    )
