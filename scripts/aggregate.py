"""Rule script: the campaign's result files -> summary/."""

import gc
from pathlib import Path

from llm_energy.system.scripting import UserError, rule_script

gc.disable()  # a short job with millions of objects: looking for cycles takes a fifth of its time

with rule_script(snakemake):
    from llm_energy.analysis.aggregate import aggregate
    from llm_energy.analysis.design import Design
    from llm_energy.analysis.summary import write_summary
    from llm_energy.report.headline import console
    from llm_energy.system.files import write_atomically

    folder = Path(snakemake.output.findings).parent
    summary = aggregate(
        folder.parent,
        planned=snakemake.params.planned,
        design=Design(**snakemake.params.design),
    )
    if unusable := summary.findings.unusable:
        raise UserError(f"{len(unusable)} of {summary.findings.planned} results cannot be used")
    write_summary(folder, summary)
    write_atomically(Path(snakemake.output.headline), console(summary).encode())
