"""Rule `prompts`: fix the token ids of a prompt set."""

from llm_energy.inputs.input_job import InputJob, Made, input_job
from llm_energy.inputs.prompts import Tokenizer, prepare_prompts
from llm_energy.inputs.recipes import PromptsRecipe
from llm_energy.system.cache import environment_marker, model_marker


def make(job: InputJob[PromptsRecipe]) -> Made:
    tokenizer = Tokenizer(
        backend=job.recipe.backend,
        environment=environment_marker(job.recipe.environment),
        model=model_marker(job.recipe.model),
        log=job.log,
    )
    content = prepare_prompts(job.recipe, tokenizer, root=job.root, target=job.target, log=job.log)
    length = content["input_tokens"]
    tokens = f"{length['minimum']} to {length['maximum']} tokens"
    return content, f"{content['count']} prompts of {tokens}"


input_job(snakemake, PromptsRecipe, make)
