"""Rule script: print the plan of the campaign; nothing is run or written."""

from pathlib import Path

from llm_energy.system.scripting import rule_script

with rule_script(snakemake):
    from llm_energy.campaign.campaign import load_campaign
    from llm_energy.workflow.plan import as_json, as_text, make_plan

    root = Path(snakemake.params.root)
    campaign = load_campaign(
        snakemake.config, files=[], root=root, lock=root / "config" / "models.lock.yaml"
    )
    plan = make_plan(campaign, Path(snakemake.params.results))
    print(as_json(plan) if snakemake.params.get("json") else as_text(plan), end="", flush=True)
