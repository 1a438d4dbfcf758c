"""Rule `convert`: turn a model into the format of engines that do not read its own."""

from llm_energy.inputs.input_job import InputJob, Made, input_job
from llm_energy.inputs.models import convert_model, megabytes
from llm_energy.inputs.recipes import ConversionRecipe
from llm_energy.system.cache import environment_marker, model_marker


def make(job: InputJob[ConversionRecipe]) -> Made:
    content = convert_model(
        job.recipe.identity,
        model=model_marker(job.recipe.model),
        environment=environment_marker(job.recipe.environment),
        target=job.target,
        log=job.log,
    )
    return content, f"{megabytes(content):.0f} MB as {content['format']}"


input_job(snakemake, ConversionRecipe, make)
