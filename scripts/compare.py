"""Rule script: summary/ of two or more campaigns -> one page."""

from pathlib import Path

from llm_energy.system.scripting import rule_script

with rule_script(snakemake):
    from llm_energy.report.campaigns_page import read_campaigns, render_campaigns
    from llm_energy.system.files import write_atomically

    folders = [Path(findings).parent for findings in snakemake.input.findings]
    write_atomically(Path(snakemake.output[0]), render_campaigns(read_campaigns(folders)).encode())
    print(f"Page: {snakemake.output[0]}", flush=True)
