"""Rule `measure`: one planned measurement, attempts and failure records included."""

import os
import sys
import time

BEGUN_S = time.monotonic()

# pyarrow loads NumPy where it finds it, which would cost 0.1 s; nothing here is an array of it.
sys.modules["numpy"] = None

from llm_energy.system.processes import die_with_parent  # noqa: E402

die_with_parent(os.getppid())

from pathlib import Path  # noqa: E402

from llm_energy.measurement.attempts import measure_planned  # noqa: E402
from llm_energy.system.scripting import rule_script  # noqa: E402

with rule_script(snakemake):
    measure_planned(
        Path(snakemake.output[0]),
        experiment=snakemake.wildcards.experiment,
        cycle=int(snakemake.wildcards.cycle),
        log=Path(snakemake.log[0]),
        begun_s=BEGUN_S,
    )
