"""Rule script: whether every result of the campaign is what it says; nothing is written."""

from pathlib import Path

from llm_energy.system.scripting import UserError, rule_script

with rule_script(snakemake):
    from llm_energy.archive.__main__ import print_verdict
    from llm_energy.archive.verify import verify_results
    from llm_energy.runs.run import Run

    going = [run.run_id for run in Run.all()]
    if not print_verdict(verify_results(Path(snakemake.params.results), going=going)):
        raise UserError("some results are not what they say; they are listed above")
