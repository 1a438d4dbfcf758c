"""Rule `model`: have a model's weights on this machine."""

from llm_energy.inputs.input_job import InputJob, Made, input_job
from llm_energy.inputs.models import megabytes, prepare_model
from llm_energy.inputs.recipes import ModelRecipe


def make(job: InputJob[ModelRecipe]) -> Made:
    recipe = job.recipe
    content = prepare_model(recipe.source, recipe.identity, target=job.target, log=job.log)
    return content, f"{megabytes(content):.0f} MB as {content['format']}"


input_job(snakemake, ModelRecipe, make)
