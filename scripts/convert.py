"""Convert a model for engines that do not read the format it comes in."""

import json
from pathlib import Path

from llm_energy.inputs.conversion import convert_model
from llm_energy.inputs.files import alone, write_marker
from llm_energy.scripting import rule_script

plan = json.loads(snakemake.params.plan)
marker = Path(snakemake.output[0])

with rule_script(snakemake), alone(marker.parent):
    content = convert_model(
        plan["identity"],
        model=Path(snakemake.input.model),
        environment=Path(snakemake.input.environment),
        target=marker.parent,
        log=Path(snakemake.log[0]),
    )
    write_marker(marker, content)
