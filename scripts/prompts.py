"""Rule `prompts`: fix the token ids of a prompt set."""

from pathlib import Path

from pydantic import TypeAdapter

from llm_energy.campaign.declared_inputs import DeclaredPrompts
from llm_energy.inputs.input_job import input_job
from llm_energy.inputs.prompts import Tokenizer, prepare_prompts
from llm_energy.inputs.token_length import Room

with input_job(snakemake) as job:
    content = prepare_prompts(
        TypeAdapter(DeclaredPrompts).validate_python(job.plan["prompts"]),
        job.plan["identity"],
        tokenizer=Tokenizer(
            backend=job.plan["backend"],
            environment=Path(snakemake.input.environment),
            model=Path(snakemake.input.model),
            log=job.log,
        ),
        room=Room(**job.plan["room"]),
        root=job.root,
        target=job.target,
        log=job.log,
    )
    length = content["input_tokens"]
    tokens = f"{length['minimum']} to {length['maximum']} tokens"
    job.finish(content, f"{content['count']} prompts of {tokens}")
