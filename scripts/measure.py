"""Rule `measure`: one cell of the campaign, attempts and failure records included."""

import os

from llm_energy.processes import die_with_parent

die_with_parent(os.getppid())

from pathlib import Path  # noqa: E402

from llm_energy.attempts import measure_cell  # noqa: E402
from llm_energy.scripting import rule_script  # noqa: E402

with rule_script(snakemake):
    measure_cell(
        Path(snakemake.output[0]),
        experiment=snakemake.wildcards.experiment,
        cycle=int(snakemake.wildcards.cycle),
        log=Path(snakemake.log[0]),
    )
