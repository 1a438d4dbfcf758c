"""Make the environment of a backend ready."""

import json
from pathlib import Path

from llm_energy.inputs.environment import prepare_environment
from llm_energy.inputs.files import write_marker
from llm_energy.scripting import rule_script

with rule_script(snakemake):
    plan = json.loads(snakemake.params.plan)
    root, marker = Path(snakemake.scriptdir).parent, Path(snakemake.output[0])
    content = prepare_environment(
        plan["identity"],
        backend=plan["backend"],
        python=plan["python"],
        requirements=root / "envs" / plan["backend"] / "requirements.txt",
        target=marker.parent,
        log=Path(snakemake.log[0]),
    )
    write_marker(marker, content)
