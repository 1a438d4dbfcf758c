"""Rule `convert`: turn a model into the format of engines that do not read its own."""

from pathlib import Path

from llm_energy.inputs.input_job import input_job
from llm_energy.inputs.models import convert_model, megabytes
from llm_energy.inputs.recipes import ConversionRecipe

with input_job(snakemake, ConversionRecipe) as job:
    content = convert_model(
        job.recipe.identity,
        model=Path(snakemake.input.model),
        environment=Path(snakemake.input.environment),
        target=job.target,
        log=job.log,
    )
    job.finish(content, f"{megabytes(content):.0f} MB as {content['format']}")
