"""Rule script: summary/ and figures/ -> report.html."""

from pathlib import Path

from llm_energy.scripting import rule_script

with rule_script(snakemake):
    from llm_energy.report.figures import read_figures
    from llm_energy.report.page import render_page, write_page
    from llm_energy.summary_files import read_summary

    summary = read_summary(Path(snakemake.input.facts).parent)
    page = render_page(summary, read_figures(Path(snakemake.input.figures)), partial=False)
    write_page(Path(snakemake.output[0]).parent, page, partial=False)
