"""`ro-crate-metadata.json`: the archive as a Provenance Run Crate, which other tools can read.

No time of creation and no random identifier is in it: equal files and jobs give equal text.
"""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from llm_energy.archive.entities import (
    TERMS,
    WORKFLOW,
    add,
    add_author,
    add_files,
    add_image,
    add_job,
    execution,
)
from llm_energy.archive.jobs import STEPS, Job, unrecorded
from llm_energy.archive.pack import Member
from llm_energy.campaign.publication import Author

METADATA = "ro-crate-metadata.json"
VERSION = "1.1"
"""Version of RO-Crate that the profiles build on."""

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
SPDX = re.compile(r"[A-Za-z0-9.+-]+")


@dataclass(frozen=True)
class About:
    """The archive as a whole."""

    title: str
    description: str
    licence: str
    """An SPDX identifier, or a sentence."""
    published: str
    """A date."""
    authors: Sequence[Author]
    keywords: Sequence[str]
    results: str
    """The campaign's folder of results in the archive."""
    commit: str | None
    """Commit of the workflow."""
    snakemake: Sequence[str]
    """The versions that ran the campaign; at least one."""


def crate_metadata(about: About, members: Mapping[str, Member], jobs: Sequence[Job]) -> str:
    """The metadata of an archive that holds `members`, which `jobs` made."""
    crate = ROCrate(version=VERSION)
    crate.metadata.extra_contexts.append(TERMS)
    files = add_files(crate, members, commit=about.commit)
    agents = [add_author(crate, n, author) for n, author in enumerate(about.authors, start=1)]
    images = {job.image: add_image(crate, job.image) for job in jobs if job.image}
    actions: dict[str, list[Entity]] = defaultdict(list)
    for job in jobs:
        image = images[job.image] if job.image else None
        actions[job.step].append(add_job(crate, job, files, image=image, agents=agents))
    steps = _add_steps(crate, files, ran=actions)
    run = _add_run(crate, about, jobs, agents)
    _add_engine(crate, about, run, {rule: (steps[rule], done) for rule, done in actions.items()})
    _describe(crate, about, jobs, agents)
    crate.root_dataset["mentions"] = [
        run,
        *(action for done in actions.values() for action in done),
    ]
    content = crate.metadata.generate()
    content["@graph"] = [_compact(entity) for entity in content["@graph"]]
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _compact(entity: Mapping[str, Any]) -> dict[str, Any]:
    """The entity with each list of one replaced by its element, as RO-Crate recommends."""
    return {
        key: value[0] if isinstance(value, list) and len(value) == 1 else value
        for key, value in entity.items()
    }


def _add_steps(
    crate: ROCrate, files: Mapping[str, Entity], *, ran: Mapping[str, Any]
) -> dict[str, Entity]:
    """The steps of the workflow, by rule, and as its parts the scripts that jobs ran."""
    steps = {
        rule: add(
            crate,
            f"#step/{rule}",
            "HowToStep",
            name=rule,
            description=step.description,
            position=str(position),
            workExample=files[step.script],
        )
        for position, (rule, step) in enumerate(STEPS.items(), start=1)
    }
    files[WORKFLOW]["step"] = list(steps.values())
    files[WORKFLOW]["hasPart"] = [files[name] for name in sorted({STEPS[r].script for r in ran})]
    return steps


def _add_run(crate: ROCrate, about: About, jobs: Sequence[Job], agents: Sequence[Entity]) -> Entity:
    """The campaign as one action, from its first job to its last."""
    started = min((job.started for job in jobs if job.started), default=None)
    ended = max((job.ended for job in jobs if job.ended), default=None)
    results = crate.add_dataset(dest_path=f"{about.results}/", properties={"name": about.results})
    properties = {
        "name": about.title,
        "description": "All jobs of the campaign, in one run of Snakemake or in several",
        **execution(started, ended, agents),
    }
    inputs = [crate.get("campaign.yaml")]
    return crate.add_action(crate.mainEntity, "#run", inputs, [results], properties)


def _add_engine(
    crate: ROCrate, about: About, run: Entity, ran: Mapping[str, tuple[Entity, list[Entity]]]
) -> None:
    """Snakemake, which ran the jobs of each step.

    Args:
        ran: step and actions, by rule.
    """
    engines = [
        add(
            crate,
            f"https://pypi.org/project/snakemake/{version}/",
            "SoftwareApplication",
            name="Snakemake",
            version=version,
            url="https://snakemake.github.io",
        )
        for version in about.snakemake
    ]
    controls = [
        add(
            crate,
            f"#control/{rule}",
            "ControlAction",
            name=f"Jobs of the step {rule}",
            instrument=step,
            object=actions,
        )
        for rule, (step, actions) in ran.items()
    ]
    same = ("startTime", "endTime", "agent", "actionStatus")
    properties = {key: value for key, value in run.properties().items() if key in same}
    properties |= {"@type": "OrganizeAction", "name": "Snakemake runs the campaign"}
    crate.add_action(engines, "#engine", controls, run, properties)


def _describe(crate: ROCrate, about: About, jobs: Sequence[Job], agents: Sequence[Entity]) -> None:
    """The root: the description of the archive, and what the metadata lack."""
    root = crate.root_dataset
    crate.name = about.title
    crate.description = " ".join([about.description, *_gaps(jobs, agents)])
    root["datePublished"] = about.published
    crate.license = about.licence
    if SPDX.fullmatch(about.licence):
        crate.license = add(
            crate,
            f"https://spdx.org/licenses/{about.licence}",
            "CreativeWork",
            name=about.licence,
            description=f"The licence {about.licence} of the SPDX licence list",
        )
    if agents:
        root["author"] = list(agents)
    if about.keywords:
        crate.keywords = list(about.keywords)
    root["conformsTo"] = [
        add(crate, address, "CreativeWork", name=name, version=address.rpartition("/")[2])
        for address, name in PROFILES.items()
    ]
    crate.get("README.md")["about"] = root


def _gaps(jobs: Sequence[Job], agents: Sequence[Entity]) -> list[str]:
    found = []
    if silent := ", ".join(unrecorded(job.step for job in jobs)):
        found.append(
            f"No action stands for the jobs of the steps {silent}: the records that Snakemake kept "
            "of them were not there when the archive was made."
        )
    if not agents:
        found.append("Actions have no agent: nobody is named who measured.")
    return found
