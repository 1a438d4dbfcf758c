"""Rule script: print what this machine has and what the campaign will need of it."""

from pathlib import Path

from llm_energy.system.scripting import UserError, rule_script

with rule_script(snakemake):
    from llm_energy.preflight.findings import as_json, as_text, problems
    from llm_energy.preflight.look import look
    from llm_energy.system.cache import CACHE
    from llm_energy.system.files import write_atomically
    from llm_energy.workflow.opening import campaign_of_script

    root, results = Path(snakemake.scriptdir).parent, Path(snakemake.params.results)
    campaign = campaign_of_script(snakemake)
    findings = look(campaign, root=root, results=results, cache=CACHE)
    report = results / "environment" / "preflight.json"
    write_atomically(report, as_json(campaign.name, findings).encode())
    print(as_text(campaign.name, findings), end="", flush=True)
    if stops := problems(findings):
        raise UserError(f"{len(stops)} of them would stop the run; {report} has the details")
