"""Rule `convert`: turn a model into the format of engines that do not read its own."""

from pathlib import Path

from llm_energy.inputs.conversion import convert_model
from llm_energy.inputs.input_job import input_job
from llm_energy.inputs.models import megabytes

with input_job(snakemake) as job:
    content = convert_model(
        job.plan["identity"],
        model=Path(snakemake.input.model),
        environment=Path(snakemake.input.environment),
        target=job.target,
        log=job.log,
    )
    job.finish(content, f"{megabytes(content):.0f} MB as {content['format']}")
