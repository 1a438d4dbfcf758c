"""`ro-crate-metadata.json`: the archive as a Provenance Run Crate, which other tools can read.

No time of making and no random identifier is in it: the same files and jobs give the same text.
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
    add,
    add_author,
    add_file,
    add_image,
    add_job,
    add_script,
    add_snakefile,
    execution,
)
from llm_energy.archive.jobs import STEPS, Job, unrecorded
from llm_energy.archive.pack import Member
from llm_energy.campaign.publication import Author

METADATA = "ro-crate-metadata.json"
VERSION = "1.1"
"""Of RO-Crate: the one that the profiles build on."""

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
WORKFLOW = "workflow/Snakefile"
SPDX = re.compile(r"[A-Za-z0-9.+-]+")


@dataclass(frozen=True)
class About:
    """What the crate says of the archive as a whole."""

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
    """Of the workflow."""
    snakemake: Sequence[str]
    """Its versions that ran the campaign; at least one."""


def crate_metadata(about: About, members: Mapping[str, Member], jobs: Sequence[Job]) -> str:
    """The metadata of an archive that holds `members`, which `jobs` made."""
    crate = ROCrate(version=VERSION)
    crate.metadata.extra_contexts.append(TERMS)
    files = _add_files(crate, about, members)
    agents = [add_author(crate, n, author) for n, author in enumerate(about.authors, start=1)]
    images = {job.image: add_image(crate, job.image) for job in jobs if job.image}
    actions: dict[str, list[Entity]] = defaultdict(list)
    for job in jobs:
        image = images[job.image] if job.image else None
        actions[job.step].append(add_job(crate, job, files, image=image, agents=agents))
    steps = _add_steps(crate, files, ran=list(actions))
    run = _add_run(crate, about, jobs, agents=agents)
    ran = {rule: (steps[rule], actions[rule]) for rule in actions}
    _add_engine(crate, run, ran, versions=about.snakemake)
    _describe(crate, about, jobs, agents)
    crate.root_dataset["mentions"] = [
        run,
        *(action for some in actions.values() for action in some),
    ]
    content = crate.metadata.generate()
    content["@graph"] = [_compact(entity) for entity in content["@graph"]]
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _compact(entity: Mapping[str, Any]) -> dict[str, Any]:
    """Lists of one as that one, as RO-Crate recommends."""
    return {
        key: value[0] if isinstance(value, list) and len(value) == 1 else value
        for key, value in entity.items()
    }


def _add_files(crate: ROCrate, about: About, members: Mapping[str, Member]) -> dict[str, Entity]:
    code = dict.fromkeys((step.script for step in STEPS.values()), add_script)
    code[WORKFLOW] = add_snakefile
    return {
        name: code[name](crate, name, member.read(), about.commit)
        if name in code
        else add_file(crate, name, member.read())
        for name, member in sorted(members.items())
    }


def _add_steps(
    crate: ROCrate, files: Mapping[str, Entity], *, ran: Sequence[str]
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


def _add_run(crate: ROCrate, about: About, jobs: Sequence[Job], *, agents: list[Entity]) -> Entity:
    """The campaign as one action, from its first job to its last."""
    started = min((job.started for job in jobs if job.started), default=None)
    ended = max((job.ended for job in jobs if job.ended), default=None)
    return crate.add_action(
        crate.mainEntity,
        "#run",
        [crate.get("campaign.yaml")],
        [crate.add_dataset(dest_path=f"{about.results}/", properties={"name": about.results})],
        {
            "@type": "CreateAction",
            "name": about.title,
            "description": "All jobs of the campaign, in one run of Snakemake or in several",
            **execution(started, ended, agents),
        },
    )


def _add_engine(
    crate: ROCrate,
    run: Entity,
    jobs: Mapping[str, tuple[Entity, list[Entity]]],
    *,
    versions: Sequence[str],
) -> None:
    """Snakemake, and its part: it ran the jobs of each step.

    Args:
        jobs: step and actions, by rule.
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
        for version in versions
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
        for rule, (step, actions) in jobs.items()
    ]
    same = ("startTime", "endTime", "agent", "actionStatus")
    add(
        crate,
        "#engine",
        "OrganizeAction",
        name="Snakemake runs the campaign",
        instrument=engines,
        object=controls,
        result=run,
        **{key: value for key, value in run.properties().items() if key in same},
    )


def _describe(crate: ROCrate, about: About, jobs: Sequence[Job], agents: Sequence[Entity]) -> None:
    """The root: what the archive is, and what the metadata do not hold."""
    root = crate.root_dataset
    root["name"] = about.title
    root["description"] = " ".join([about.description, *_gaps(jobs, agents)])
    root["datePublished"] = about.published
    root["license"] = about.licence
    if SPDX.fullmatch(about.licence):
        root["license"] = add(
            crate,
            f"https://spdx.org/licenses/{about.licence}",
            "CreativeWork",
            name=about.licence,
            description=f"The licence {about.licence} of the SPDX licence list",
        )
    if agents:
        root["author"] = list(agents)
    if about.keywords:
        root["keywords"] = list(about.keywords)
    root["conformsTo"] = [
        add(crate, address, "CreativeWork", name=name, version=address.rpartition("/")[2])
        for address, name in PROFILES.items()
    ]
    crate.get("README.md")["about"] = root


def _gaps(jobs: Sequence[Job], agents: Sequence[Entity]) -> list[str]:
    told = []
    if silent := ", ".join(unrecorded(job.step for job in jobs)):
        told.append(
            f"No action stands for the jobs of the steps {silent}: the records that Snakemake kept "
            "of them were not there when the archive was made."
        )
    if not agents:
        told.append("Actions have no agent: nobody is named who measured.")
    return told
