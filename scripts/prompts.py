"""Rule `prompts`: fix the token ids of a prompt set."""

from llm_energy.inputs.input_job import input_job
from llm_energy.inputs.prompts import Tokenizer, prepare_prompts
from llm_energy.inputs.recipes import PromptsRecipe
from llm_energy.system.cache import environment_marker, model_marker

with input_job(snakemake, PromptsRecipe) as job:
    tokenizer = Tokenizer(
        backend=job.recipe.backend,
        environment=environment_marker(job.recipe.environment),
        model=model_marker(job.recipe.model),
        log=job.log,
    )
    content = prepare_prompts(job.recipe, tokenizer, root=job.root, target=job.target, log=job.log)
    length = content["input_tokens"]
    tokens = f"{length['minimum']} to {length['maximum']} tokens"
    job.finish(content, f"{content['count']} prompts of {tokens}")
