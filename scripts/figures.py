"""Rule script: summary/ -> figures/."""

from pathlib import Path

from llm_energy.scripting import rule_script

with rule_script(snakemake):
    from llm_energy.report.figures import draw_files, write_figures
    from llm_energy.summary_files import read_summary

    summary = read_summary(Path(snakemake.input.facts).parent)
    write_figures(Path(snakemake.output[0]), draw_files(summary))
