"""Rule script: write the campaign's backends as a Compose file."""

from pathlib import Path

from llm_energy.system.scripting import rule_script

with rule_script(snakemake):
    from llm_energy.workflow.compose_file import write_compose
    from llm_energy.workflow.opening import campaign_of_script

    campaign = campaign_of_script(snakemake)
    path = write_compose(campaign, Path(snakemake.params.results))
    print(f"{path}: start the containers with: docker compose -f {path} up -d", flush=True)
