"""The contents of an archive: code, configuration, results, and their description.

README.md CITATION.cff .zenodo.json LICENSE reproduce.sh campaign.yaml
ro-crate-metadata.json  files and jobs for other tools
configuration/    the campaign's files as given
inputs/           the user's own prompt files, and traces of arrivals
provenance/       code.json, code.patch, plan.json, order.csv
results/NAME/     all measurements and everything made from them
workflow/         the code
"""

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from llm_energy.analysis.side_records import runs, snakemake_versions
from llm_energy.analysis.summary import Findings, read_summary
from llm_energy.archive.code import Code, read_code
from llm_energy.archive.crate import METADATA, About, crate_metadata
from llm_energy.archive.describe import NOT_STATED, citation, deposit, readme
from llm_energy.archive.known_jobs import jobs_of
from llm_energy.archive.pack import Member
from llm_energy.archive.verify import result_files
from llm_energy.campaign.arrival_settings import TraceConfig
from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.declared_inputs import FilePrompts
from llm_energy.campaign.experiment import PlannedMeasurement
from llm_energy.results.layout import COMPOSE_FILE
from llm_energy.results.older_layout import doubles
from llm_energy.results.result import Result, ResultError, read_planned_result
from llm_energy.runs.campaign_status import STATUS_FILE
from llm_energy.system.scripting import UserError

NOT_SHIPPED = ("archive", "export", "report-partial.html", STATUS_FILE, COMPOSE_FILE)
"""Below a campaign's results: the archive itself, copies of the power series for other tools, what
only a run that failed left, the state of the last run for those who watch it, and containers of one
machine."""

OF_A_RUN = ("remeasure", "new_device", "status", "export_to")
"""Keys of the configuration that are for one command or one site only."""

REPRODUCE = """\
#!/bin/sh
# Check this archive, make every table and figure again from its raw data, and compare them with the
# ones that it ships. Needs Python 3.11 or newer; no GPU, no Docker, nothing is measured.
#   ./reproduce.sh          all of that
#   ./reproduce.sh verify   only check the files and the results
# The first call installs the pinned Python packages into workflow/.venv; WORKFLOW_PYTHON=PATH names
# an interpreter that has them already.
set -eu
cd "$(dirname "$0")"
if [ -z "${WORKFLOW_PYTHON:-}" ]; then
  workflow/envs/workflow/setup.sh
  WORKFLOW_PYTHON=workflow/.venv/bin/python
fi
PYTHONPATH=workflow/scripts exec "$WORKFLOW_PYTHON" -m llm_energy.archive "${1:-reproduce}"
"""


def contents(
    campaign: Campaign,
    config: Mapping[str, Any],
    *,
    planned: Sequence[PlannedMeasurement],
    files: Iterable[Path],
    root: Path,
    results: Path,
) -> dict[str, Member]:
    """Every file of the campaign's archive by its name in it; SHA256SUMS comes with packing.

    Args:
        config: the configuration in force.
        planned: the measurements that the campaign asks for, in planned order.
        files: the files it was read from.
        root: the checkout.
        results: `results/{campaign}`, complete.

    Raises:
        UserError: the report is older than events of runs.
    """
    code = read_code(root)
    summary = read_summary(results / "summary")
    refuse_old_report(summary.findings, results)
    made = {
        "README.md": readme(campaign, summary, results, code),
        "CITATION.cff": _yaml(about := citation(campaign, summary)),
        "campaign.yaml": _yaml(portable(campaign, config)),
        "provenance/code.json": _json(_code_record(code)),
        "provenance/plan.json": _json(_plan(campaign, planned)),
        "provenance/order.csv": _order(planned, results),
    }
    if zenodo := deposit(about, campaign.publication):
        made[".zenodo.json"] = _json(zenodo)
    members = {name: Member(text.encode()) for name, text in made.items()}
    members["reproduce.sh"] = Member(REPRODUCE.encode(), executable=True)
    members["LICENSE"] = Member(root / "LICENSE", public=True)
    if code.patch:
        members["provenance/code.patch"] = Member(code.patch)
    for number, file in enumerate(files, start=1):
        members[f"configuration/{number}-{file.name}"] = Member(file)
    for name, prompts in campaign.prompts.items():
        if isinstance(prompts, FilePrompts):
            members[_prompts_path(name, prompts)] = Member(Path(prompts.file))
    for name, trace in campaign.traces.items():
        members[_trace_path(name, trace)] = Member(Path(trace.file))
    members |= _code_members(code, root)
    twice = {*doubles(results)}
    for path in result_files(results):
        below = path.relative_to(results)
        if below.parts[0] not in NOT_SHIPPED and path not in twice:
            members[f"results/{campaign.name}/{below.as_posix()}"] = Member(path)
    # The time of a folder is that of this file to Snakemake: without it, figures unpacked now would
    # be newer than the report that shows them.
    for folder in ("figures", "tables"):
        members[f"results/{campaign.name}/{folder}/.snakemake_timestamp"] = Member(b"")
    jobs = jobs_of(campaign, results, members)
    crate = crate_metadata(_about(campaign, about, results, code), members, jobs)
    return members | {METADATA: Member(crate.encode())}


def refuse_old_report(findings: Findings, results: Path) -> None:
    """Refuse a report without events that runs recorded since: its readers would make another.

    Raises:
        UserError: it is such a report.
    """
    if findings.events != runs(results)[0]:
        raise UserError(
            f"{results}/report.html does not hold the events that runs recorded by now, so "
            "that readers would make another one: delete it and start the campaign's command again"
        )


def _about(campaign: Campaign, citation: Mapping[str, Any], results: Path, code: Code) -> About:
    publication = campaign.publication
    return About(
        title=citation["title"],
        description=citation["abstract"],
        licence=publication.licence or NOT_STATED,
        published=citation["date-released"],
        authors=publication.who,
        keywords=publication.keywords,
        results=f"results/{campaign.name}",
        commit=code.commit,
        # Older records, or a run that is not published yet, lack the version.
        snakemake=snakemake_versions(results) or [version("snakemake")],
    )


def portable(campaign: Campaign, config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration in force as one file, with the inputs where the archive has them."""
    plain = {key: value for key, value in config.items() if key not in OF_A_RUN}
    own = {
        name: {**config["prompts"][name], "file": _prompts_path(name, prompts)}
        for name, prompts in campaign.prompts.items()
        if isinstance(prompts, FilePrompts)
    }
    found = {**plain, "prompts": {**plain["prompts"], **own}}
    traces = {
        name: {**config["traces"][name], "file": _trace_path(name, trace)}
        for name, trace in campaign.traces.items()
    }
    return found | ({"traces": traces} if traces else {})


def _prompts_path(name: str, prompts: FilePrompts) -> str:
    """Suffixes stay: they say what kind of file it is."""
    return f"inputs/{name}/{Path(prompts.file).name}"


def _trace_path(name: str, trace: TraceConfig) -> str:
    return f"inputs/trace-{name}/{Path(trace.file).name}"


def _code_members(code: Code, root: Path) -> dict[str, Member]:
    private = {*code.changed, *code.added}
    return {
        f"workflow/{name}": Member(
            root / name,
            executable=os.access(root / name, os.X_OK),
            public=name not in private if code.commit else name.startswith(("tests/", "docs/")),
        )
        for name in code.files
    }


def _code_record(code: Code) -> dict[str, Any]:
    no_repository = "not a repository: the files that ship with the workflow"
    return {
        "commit": code.commit,
        "dirty": code.dirty,
        "changed": list(code.changed),
        "added": list(code.added),
        "patch": "provenance/code.patch" if code.patch else None,
        "note": no_repository if code.commit is None else None,
    }


def _plan(campaign: Campaign, planned: Sequence[PlannedMeasurement]) -> dict[str, Any]:
    """Every experiment as resolved, and every measurement in planned order."""
    return {
        **campaign.design,
        "measurement": campaign.measurement.model_dump(mode="json"),
        "experiments": [
            {
                "experiment": experiment.name,
                "spec_hash": experiment.spec_hash,
                "declared": dict(experiment.declared),
                "resolved": experiment.settings.resolved(),
                "spec": dict(experiment.spec),
            }
            for experiment in campaign.experiments
        ],
        "cells": [
            {
                "position": one.position,
                "experiment": one.experiment.name,
                "cycle": one.cycle,
                "result": one.result_path,
            }
            for one in planned
        ],
    }


def _order(planned: Sequence[PlannedMeasurement], results: Path) -> str:
    """The actual order beside the planned one."""
    measured: list[Result] = []
    for one in planned:
        with suppress(ResultError):  # the tables and the report name it
            measured.append(read_planned_result(results, one.result_path))
    measured.sort(key=lambda result: (result.started, result.position))
    rows = csv.writer(text := io.StringIO(), lineterminator="\n")
    rows.writerow(["executed", "planned", "experiment", "cycle", "started", "session_id"])
    for rank, result in enumerate(measured):
        place = [result.position, result.experiment, result.cycle]
        rows.writerow([rank, *place, result.started, result.environment.session_id])
    return text.getvalue()


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _yaml(value: Any) -> str:
    """Return a value as YAML. Each text stays in one line, so that `secret_in` finds a secret."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=math.inf)
