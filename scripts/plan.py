"""Rule script: print the plan of the campaign; nothing is run or written."""

from pathlib import Path

from llm_energy.system.scripting import rule_script

with rule_script(snakemake):
    from llm_energy.workflow.opening import campaign_of_script
    from llm_energy.workflow.plan import as_text, make_plan
    from llm_energy.workflow.unnamed import unnamed_results

    campaign, results = campaign_of_script(snakemake), Path(snakemake.params.results)
    print(as_text(make_plan(campaign, results)), end="")
    print(*unnamed_results(campaign, results), sep="\n", flush=True)
