"""Have a model's weights on this machine."""

import json
from pathlib import Path

from pydantic import TypeAdapter

from llm_energy.config.inputs import DeclaredSource
from llm_energy.inputs.files import alone, write_marker
from llm_energy.inputs.models import prepare_model
from llm_energy.scripting import rule_script

plan = json.loads(snakemake.params.plan)
marker = Path(snakemake.output[0])

with rule_script(snakemake), alone(marker.parent):
    content = prepare_model(
        TypeAdapter(DeclaredSource).validate_python(plan["source"]),
        plan["identity"],
        target=marker.parent,
        log=Path(snakemake.log[0]),
    )
    write_marker(marker, content)
