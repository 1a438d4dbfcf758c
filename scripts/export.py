"""Rule script: a campaign for other tools -> export/, or a time-series server."""

import sys
from pathlib import Path

from llm_energy.system.scripting import UserError, rule_script

with rule_script(snakemake):
    from llm_energy.results.result import ResultError

    results = Path(snakemake.params.results)
    if url := snakemake.config.get("export_to"):
        from llm_energy.export.sending import send_campaign

        print(send_campaign(results, url), file=sys.stderr)
    else:
        from llm_energy.export.series_texts import export_campaign

        try:
            written = export_campaign(results)
        except ResultError as error:
            raise UserError(f"{error}: `verify` names every such result") from error
        if not written:
            raise UserError(
                f"{results}/series holds no power series: nothing was metered, or nothing measured "
                "yet"
            )
        print(f"{len(written)} files below {results}/export", file=sys.stderr)
