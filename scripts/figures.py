"""Rule script: summary/ -> figures/."""

from pathlib import Path

from llm_energy.system.scripting import rule_script

with rule_script(snakemake):
    from llm_energy.analysis.summary import read_summary
    from llm_energy.report.figures import draw_files, write_figures

    summary = read_summary(Path(snakemake.input.findings).parent)
    write_figures(Path(snakemake.output[0]), draw_files(summary))
