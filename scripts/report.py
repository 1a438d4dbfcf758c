"""Rule script: summary/ and figures/ -> report.html."""

import gc
from pathlib import Path

from llm_energy.system.scripting import rule_script

gc.disable()  # a short job with millions of objects: looking for cycles takes a fifth of its time

with rule_script(snakemake):
    from llm_energy.analysis.summary import read_summary
    from llm_energy.report.figures import read_figures
    from llm_energy.report.page import render_page, write_page
    from llm_energy.report.paper_tables import read_tables

    summary = read_summary(Path(snakemake.input.findings).parent)
    figures = read_figures(Path(snakemake.input.figures))
    papers = read_tables(Path(snakemake.input.papers))
    page = render_page(summary, figures, partial=False, papers=papers)
    write_page(Path(snakemake.output[0]).parent, page, partial=False)
