"""Make the environment of a backend ready."""

import json
from pathlib import Path

from llm_energy.inputs.environment import prepare_environment
from llm_energy.inputs.files import alone, write_marker
from llm_energy.scripting import rule_script

plan = json.loads(snakemake.params.plan)
marker = Path(snakemake.output[0])

with rule_script(snakemake), alone(marker.parent):
    content = prepare_environment(
        plan["identity"],
        backend=plan["backend"],
        python=plan["python"],
        requirements=Path(snakemake.scriptdir).parent
        / "envs"
        / plan["backend"]
        / "requirements.txt",
        target=marker.parent,
        log=Path(snakemake.log[0]),
    )
    write_marker(marker, content)
