"""Rule script: print the plan of the campaign; nothing is run or written."""

from pathlib import Path

from llm_energy.system.cache import CACHE
from llm_energy.system.scripting import UserError, rule_script

with rule_script(snakemake):
    from llm_energy.inputs.recipes import campaign_recipes
    from llm_energy.preflight.obstacles import prompt_obstacles
    from llm_energy.workflow.opening import campaign_of_script
    from llm_energy.workflow.parallel_sessions import concurrency_here
    from llm_energy.workflow.plan import make_plan
    from llm_energy.workflow.plan_text import as_text
    from llm_energy.workflow.unnamed import unnamed_results

    root = Path(snakemake.scriptdir).parent
    campaign, results = campaign_of_script(snakemake), Path(snakemake.params.results)
    lanes, allocations = snakemake.params.lanes, snakemake.params.allocations
    planned = concurrency_here(campaign, lanes, allocations=allocations)
    print(as_text(make_plan(campaign, results, concurrency=planned)), end="")
    print(*unnamed_results(campaign, results), sep="\n", flush=True)
    if lines := prompt_obstacles(campaign_recipes(campaign, root), cache=CACHE):
        raise UserError("; ".join(lines))
