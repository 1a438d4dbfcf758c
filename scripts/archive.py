"""Rule script: results, code and configuration -> archive/{campaign}.tar.gz."""

from pathlib import Path

from llm_energy.system.scripting import UserError, rule_script

with rule_script(snakemake):
    from llm_energy.archive.__main__ import print_verdict
    from llm_energy.archive.contents import contents
    from llm_energy.archive.pack import ArchiveError, pack
    from llm_energy.archive.verify import verify_results
    from llm_energy.runs.run_parts import publish_runs
    from llm_energy.system.files import write_atomically
    from llm_energy.workflow.decisions import decided, requested
    from llm_energy.workflow.opening import campaign_of_script
    from llm_energy.workflow.status import standings, write_manifest

    root, results = Path(snakemake.scriptdir).parent, Path(snakemake.input.report).parent
    publish_runs(results)
    if not print_verdict(verify_results(results)):
        raise UserError(
            "no archive is made of results with problems, which are listed above; restore the "
            "files, or measure again what cannot be used: --config remeasure=invalid"
        )
    campaign = campaign_of_script(snakemake)
    files = [Path(path) for path in snakemake.params.files]
    write_manifest(results, standings(campaign, results))
    planned = requested(campaign, decided(campaign, results))
    members = contents(
        campaign, snakemake.config, planned=planned, files=files, root=root, results=results
    )
    target = results / "archive" / f"{campaign.name}.tar.gz"
    try:
        sha256 = pack(target, campaign.name, members)
    except ArchiveError as error:
        raise UserError(str(error)) from error
    write_atomically(
        target.with_name(f"{target.name}.sha256"), f"{sha256}  {target.name}\n".encode()
    )
    print(f"Archive: {target} ({target.stat().st_size / 1e6:.1f} MB, sha256 {sha256})", flush=True)
