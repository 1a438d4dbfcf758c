"""Rule script: summary/ -> figures/, tables/ and report.html."""

import gc
from pathlib import Path

from llm_energy.system.scripting import rule_script

gc.disable()  # a short job with millions of objects: looking for cycles takes a fifth of its time

with rule_script(snakemake):
    from llm_energy.analysis.summary import read_summary
    from llm_energy.report.figures import draw_files, write_figures
    from llm_energy.report.page import render_page, write_page
    from llm_energy.report.paper_tables import write_tables

    summary = read_summary(Path(snakemake.input.findings).parent)
    papers = write_tables(Path(snakemake.output.tables), summary)
    figures = draw_files(summary)
    write_figures(Path(snakemake.output.figures), figures)
    page = render_page(summary, figures, partial=False, papers=papers)
    write_page(Path(snakemake.output.page).parent, page, partial=False)
