"""Rule script: summary/ -> tables/."""

from pathlib import Path

from llm_energy.system.scripting import rule_script

with rule_script(snakemake):
    from llm_energy.analysis.summary import read_summary
    from llm_energy.report.paper_tables import write_tables

    summary = read_summary(Path(snakemake.input.findings).parent)
    write_tables(Path(snakemake.output[0]), summary)
