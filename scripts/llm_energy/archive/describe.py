"""README, citation and deposit metadata of an archive; every number comes from the results."""

import importlib.resources
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import jinja2
import pandas as pd

from llm_energy.analysis.summary import Summary
from llm_energy.archive.code import Code
from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.experiment import Experiment
from llm_energy.campaign.publication import Author, Publication
from llm_energy.measurement.provenance import ENVIRONMENT
from llm_energy.results.metrics import (
    HOST_JOULES_PER_OUTPUT_TOKEN,
    JOULES_PER_OUTPUT_TOKEN,
    SERVED,
    THROUGHPUT,
    TTFT,
    TTFT_P99,
    by_arrivals,
)
from llm_energy.runs.progress import human_duration
from llm_energy.system.numbers import number, percent
from llm_energy.system.vocabulary import OPEN

TEMPLATE = "readme.md.jinja"
SHOWN = (
    *(JOULES_PER_OUTPUT_TOKEN, HOST_JOULES_PER_OUTPUT_TOKEN, THROUGHPUT, *SERVED),
    *(TTFT, TTFT_P99),
)
NOT_STATED = "not stated: set `publication` in the campaign's file"


def readme(campaign: Campaign, summary: Summary, results: Path, code: Code) -> str:
    """README.md of an archive."""
    template = importlib.resources.files("llm_energy.archive").joinpath(TEMPLATE).read_text("utf-8")
    surroundings = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    table, findings = summary.measurements, summary.findings
    taken = [
        (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
        for start, end in zip(table["started"], table["finished"], strict=True)
    ]
    return surroundings.from_string(template).render(
        title=title(campaign),
        name=campaign.name,
        planned=findings.planned,
        completed=findings.completed,
        out_of_memory=findings.out_of_memory,
        failures=len(findings.failures),
        experiments=_compared(campaign),
        cycles=int(table["cycle"].max()),
        seed=campaign.seed,
        started=table["started"].min()[:16].replace("T", " ") + " UTC",
        finished=table["finished"].max()[:16].replace("T", " ") + " UTC",
        simulated=bool(table["energy_simulated"].fillna(False).any()),
        energy=bool(table["energy_joules"].notna().any()),
        expected=list(expected_numbers(summary.experiments)),
        hardware=list(_hardware(table, results)),
        measuring=human_duration(sum(taken)),
        median=human_duration(median(taken)),
        longest=human_duration(max(taken)),
        code_note=_code_note(code),
        data_licence=campaign.publication.licence or NOT_STATED,
        models={name: model.licence for name, model in sorted(campaign.models.items())},
    )


def title(campaign: Campaign) -> str:
    return campaign.publication.title or f"Energy and efficiency of LLM inference: {campaign.name}"


def description(campaign: Campaign, summary: Summary) -> str:
    """A few sentences about the archive: the campaign's own, or counts."""
    findings = summary.findings
    return campaign.publication.description or (
        f"Raw data, tables, figures, report and code of the campaign {campaign.name}: "
        f"{findings.completed} of {findings.planned} measurements completed, "
        f"{len(_compared(campaign))} experiments."
    )


def _compared(campaign: Campaign) -> list[Experiment]:
    """The campaign's experiments without those of controls."""
    return [experiment for experiment in campaign.experiments if experiment.control is None]


def published(summary: Summary) -> str:
    """The day of the last measurement, which is the data's date."""
    return str(summary.measurements["finished"].max())[:10]


def citation(campaign: Campaign, summary: Summary) -> dict[str, Any]:
    """CITATION.cff of an archive (Citation File Format 1.2.0)."""
    publication = campaign.publication
    about: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": "If you use these measurements, please cite them.",
        "type": "dataset",
        "title": title(campaign),
        "abstract": description(campaign, summary),
        "authors": [_author(author) for author in publication.who] or [{"name": NOT_STATED}],
    }
    if publication.licence:
        about["license"] = publication.licence
    if publication.keywords:
        about["keywords"] = list(publication.keywords)
    return about | {"date-released": published(summary)}


def _author(author: Author) -> dict[str, str]:
    about = author.model_dump(exclude_none=True)
    family, comma, given = author.name.partition(",")
    if comma:
        del about["name"]
        about |= {"family-names": family.strip(), "given-names": given.strip()}
    return about | ({"orcid": f"https://orcid.org/{author.orcid}"} if author.orcid else {})


def deposit(citation: Mapping[str, Any], publication: Publication) -> dict[str, Any] | None:
    """`.zenodo.json`: the metadata of a deposit; None without authors or a licence, which an open
    deposit needs.

    Fields: https://developers.zenodo.org/#deposit-metadata. Where a repository has this file,
    Zenodo's GitHub integration does not read its CITATION.cff.
    """
    if not (publication.authors and publication.licence):
        return None
    metadata = {
        "title": citation["title"],
        "upload_type": "dataset",
        "description": citation["abstract"],
        "creators": [author.model_dump(exclude_none=True) for author in publication.who],
        "access_right": "open",
        "license": publication.licence,
        "publication_date": citation["date-released"],
        "keywords": publication.keywords,
        "related_identifiers": [one.model_dump(mode="json") for one in publication.related],
    }
    return {key: value for key, value in metadata.items() if value}


def _code_note(code: Code) -> str:
    if code.commit is None:
        return "the code: no repository, the files that ship with the workflow"
    changed = [*code.changed, *code.added]
    if not changed:
        return f"the code: commit {code.commit}, unchanged"
    return (
        f"the code: commit {code.commit}, **with {len(changed)} changed or added files** "
        "(`workflow/` has them as they are, `provenance/code.patch` what changed in committed ones)"
    )


def expected_numbers(experiments: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the headline metrics of each experiment, with the expected spread of a repetition."""
    for metric in SHOWN:
        rows: Any = experiments[experiments["metric"] == metric.column].to_dict("records")
        for row in rows:
            is_open = not pd.isna(row["saturated"])
            if by_arrivals(metric, OPEN if is_open else None):
                continue
            if metric == TTFT_P99 and not is_open:
                continue
            mean, half = float(row["mean"]), _expected_half_width(row)
            scale = metric.shown_factor
            yield {
                "experiment": row["experiment"] + " (saturated)" * (is_open and row["saturated"]),
                "n": row["n"],
                "metric": metric.title,
                "mean": number(mean * scale, half * scale if half else None),
                "unit": metric.display_unit,
                "again": f"±{percent(half / abs(mean))}" if half is not None and mean else "-",
                "total": "-"
                if pd.isna(row["total_high"])
                else f"±{percent((float(row['total_high']) - mean) / abs(mean))}",
            }


def _expected_half_width(row: Mapping[str, Any]) -> float | None:
    """Return the half width for the mean of as many cycles again; None without an interval. That of
    a share of requests has a wider side, towards the middle, which counts."""
    if pd.isna(row["t_high"]):
        return None
    mean, low, high = (float(row[name]) for name in ("mean", "t_low", "t_high"))
    return max(high - mean, mean - low) * 2**0.5


def _hardware(table: pd.DataFrame, results: Path) -> Iterator[str]:
    """The hardware, hosts and engines of the measurements, a line each."""
    devices: Any = table.groupby(["device_model", "power_limit_watts"], dropna=False, sort=True)
    for (model, limit), group in devices:
        uuids = {uuid for text in group["device_uuids"].dropna() for uuid in text.split(";")} - {""}
        count = f", {len(uuids)} of them" if uuids else ""
        at = "" if pd.isna(limit) else f", power limit {limit:g} W"
        yield f"Device: {model}{count}{at}"
    for column, name in (("driver", "Driver"), ("cpu_model", "CPU"), ("kernel", "Kernel")):
        values = sorted(table[column].dropna().unique())
        if values:
            yield f"{name}: {', '.join(values)}"
    hosts = set()
    for host in _records(results, "host-"):
        memory = host["memory_bytes"]
        size = f", {memory / 1e9:.0f} GB of memory" if memory else ""
        hosts.add(f"Host: {host['system']}, {host['cores']} cores{size}")
    yield from sorted(hosts)
    pairs = table[["setting.backend", "engine_version"]].dropna().drop_duplicates()
    engines = sorted(f"{name} ({version})" for name, version in pairs.itertuples(index=False))
    runtimes = sorted(table["runtime"].dropna().unique())
    yield f"Engines: {', '.join(engines)}; run as: {', '.join(runtimes)}"
    sizes = [sum(f["size_bytes"] for f in m["files"].values()) for m in _records(results, "model-")]
    if sizes:
        yield f"Disk: {sum(sizes) / 1e9:.2f} GB for the weights, and room for the engines"


def _records(results: Path, prefix: str) -> list[dict[str, Any]]:
    """The records of one kind; see `provenance.py`."""
    found = sorted((results / ENVIRONMENT).glob(f"{prefix}*.json"))
    return [json.loads(path.read_bytes()) for path in found]
