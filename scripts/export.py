"""Rule script: the power series of a campaign for other tools -> export/."""

import sys
from pathlib import Path

from llm_energy.system.scripting import UserError, rule_script

with rule_script(snakemake):
    from llm_energy.analysis.export import export_campaign

    results = Path(snakemake.params.results)
    written = export_campaign(results)
    if not written:
        raise UserError(
            f"{results}/series holds no power series: nothing was metered, or nothing measured yet"
        )
    print(f"{len(written)} files below {results}/export", file=sys.stderr)
