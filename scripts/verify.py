"""Rule script: whether every result of the campaign is what it says; nothing is written."""

from pathlib import Path

from llm_energy.system.scripting import UserError, rule_script

with rule_script(snakemake):
    from llm_energy.archive.__main__ import print_verdict
    from llm_energy.archive.verify import verify_results

    if not print_verdict(verify_results(Path(snakemake.params.results))):
        raise UserError("some results are not what they say; they are listed above")
