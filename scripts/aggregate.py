"""Rule script: the campaign's result files -> summary/."""

from pathlib import Path

from llm_energy.scripting import UserError, rule_script

with rule_script(snakemake):
    from llm_energy.aggregate import aggregate
    from llm_energy.report.headline import console
    from llm_energy.results import write_atomically
    from llm_energy.summary import Design
    from llm_energy.summary_files import write_summary

    folder = Path(snakemake.output.facts).parent
    campaign = folder.parent
    summary = aggregate(
        campaign,
        planned=[
            Path(path).relative_to(campaign).as_posix()
            for path in snakemake.input
            if path not in snakemake.input.anchors
        ],
        design=Design(**snakemake.params.design),
    )
    if unusable := summary.facts.unusable:
        raise UserError(f"{len(unusable)} of {summary.facts.planned} results cannot be used")
    write_summary(folder, summary)
    write_atomically(Path(snakemake.output.headline), console(summary).encode())
