"""Pin what the campaign leaves open: the target `lock`."""

import json
import sys
from pathlib import Path

from pydantic import TypeAdapter

from llm_energy.campaign.declared_inputs import DeclaredSource
from llm_energy.campaign.lock_file import read_lock
from llm_energy.campaign.problems import CampaignError
from llm_energy.inputs.pin import updated, write_lock
from llm_energy.system.scripting import rule_script

with rule_script(snakemake, CampaignError):
    plan = json.loads(snakemake.params.plan)
    path = Path(snakemake.params.lock)
    lock = updated(
        read_lock(path),
        sources=[TypeAdapter(DeclaredSource).validate_python(s) for s in plan["sources"]],
        interpreters=plan["interpreters"],
        log=Path(snakemake.log[0]),
        report=lambda line: print(line, file=sys.stderr),
    )
    write_lock(path, lock)
    print(f"wrote {path}", file=sys.stderr)
