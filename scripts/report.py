"""Rule script: the campaign's result files -> summary/, tables/, figures/ and report.html."""

import gc
import os
from pathlib import Path

from llm_energy.system.scripting import UserError, rule_script

gc.disable()  # a short job with millions of objects: looking for cycles takes a fifth of its time
# For matrices as small as these, NumPy with several threads takes up to a hundred times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Arrow's other allocators keep what they gave once, and ten thousand measurements need the room.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

with rule_script(snakemake):
    from llm_energy.analysis.aggregate import aggregate
    from llm_energy.analysis.design import Design
    from llm_energy.analysis.summary import write_summary
    from llm_energy.report.figures import drawing_files, write_figures
    from llm_energy.report.headline import console
    from llm_energy.report.page import render_page, write_page
    from llm_energy.report.paper_tables import write_tables
    from llm_energy.runs.run_parts import publish_runs
    from llm_energy.system.files import write_atomically

    page = Path(snakemake.output.page)
    publish_runs(page.parent)  # their events are in the report
    summary = aggregate(
        page.parent,
        planned=snakemake.params.planned,
        design=Design(**snakemake.params.design),
    )
    if unusable := summary.findings.unusable:
        raise UserError(f"{len(unusable)} of {summary.findings.planned} results cannot be used")
    with drawing_files(summary) as drawn:
        write_summary(Path(snakemake.output.findings).parent, summary)
        write_atomically(Path(snakemake.output.headline), console(summary).encode())
        papers = write_tables(Path(snakemake.output.tables), summary)
        figures = drawn()
    write_figures(Path(snakemake.output.figures), figures)
    text = render_page(summary, figures, partial=False, papers=papers)
    write_page(page.parent, text, partial=False)
