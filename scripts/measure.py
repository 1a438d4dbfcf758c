"""Rule `measure`: one planned measurement, attempts and failure records included."""

import os
import sys
import time

BEGUN_S = time.monotonic()

from llm_energy.system.processes import die_with_parent  # noqa: E402

die_with_parent(os.getppid())

from llm_energy.measurement.measuring_job import MeasuringJob, run, run_forked  # noqa: E402

job = MeasuringJob(
    rule=snakemake.rule,
    input=list(snakemake.input),
    output=snakemake.output[0],
    log=list(snakemake.log),
    spec_hash=snakemake.wildcards.spec,
    cycle=int(snakemake.wildcards.cycle),
    begun_s=BEGUN_S,
)
code = run_forked(job)
sys.exit(run(job) if code is None else code)
