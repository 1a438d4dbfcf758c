"""Rule `environment`: make the environment of a backend ready."""

from llm_energy.inputs.environment import prepare_environment
from llm_energy.inputs.input_job import InputJob, Made, input_job
from llm_energy.inputs.recipes import EnvironmentRecipe


def make(job: InputJob[EnvironmentRecipe]) -> Made:
    content = prepare_environment(job.recipe, root=job.root, target=job.target, log=job.log)
    return content, f"{content['engine_version']}, Python {content['python_version']}"


input_job(snakemake, EnvironmentRecipe, make)
