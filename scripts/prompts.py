"""Fix the token ids of a prompt set."""

import json
from pathlib import Path

from pydantic import TypeAdapter

from llm_energy.config.inputs import DeclaredPrompts
from llm_energy.inputs.files import alone, write_marker
from llm_energy.inputs.prompts import Room, Tokenizer, prepare_prompts
from llm_energy.scripting import rule_script

plan = json.loads(snakemake.params.plan)
marker = Path(snakemake.output[0])

with rule_script(snakemake), alone(marker.parent):
    content = prepare_prompts(
        TypeAdapter(DeclaredPrompts).validate_python(plan["prompts"]),
        plan["identity"],
        tokenizer=Tokenizer(
            backend=plan["backend"],
            environment=Path(snakemake.input.environment),
            model=Path(snakemake.input.model),
            log=Path(snakemake.log[0]),
        ),
        room=Room(**plan["room"]),
        root=Path(snakemake.scriptdir).parent,
        target=marker.parent,
        log=Path(snakemake.log[0]),
    )
    write_marker(marker, content)
