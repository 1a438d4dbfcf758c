"""Entities of a crate: its files, authors, images and jobs.

The terms are those of Workflow Run RO-Crate: https://w3id.org/ro/wfrun/provenance/0.5
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from llm_energy.archive.jobs import STEPS, Image, Job
from llm_energy.archive.pack import Member
from llm_energy.campaign.publication import Author

WORKFLOW = "workflow/Snakefile"
TERMS = "https://w3id.org/ro/terms/workflow-run"
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
JOULE = "https://qudt.org/vocab/unit/J"
ENERGY = "workflow/config/schemas/result.schema.yaml#/$defs/Energy/properties/"
"""Where the archive defines energies."""

FORMATS = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".py": "text/x-python",
    ".svg": "image/svg+xml",
    ".tsv": "text/tab-separated-values",
    ".yaml": "application/yaml",
}
"""A table of our own, because the host's differs between hosts."""


def add(crate: ROCrate, identifier: str, type_: str, /, **properties: Any) -> Entity:
    """Add something that is no file."""
    return crate.add(ContextEntity(crate, identifier, properties={"@type": type_, **properties}))


def add_files(
    crate: ROCrate, members: Mapping[str, Member], *, commit: str | None
) -> dict[str, Entity]:
    """Add the files with size and checksum; scripts and the workflow also as code."""
    scripts = {step.script for step in STEPS.values()}
    version = {"version": commit} if commit else {}
    added = {}
    for name, member in sorted(members.items()):
        properties: dict[str, Any] = _content(name, member.read())
        if name == WORKFLOW:
            types = ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]
            properties |= {"@type": types, "conformsTo": {"@id": BIOSCHEMAS}} | version
            added[name] = crate.add_workflow(
                dest_path=name, main=True, lang="snakemake", properties=properties
            )
            continue
        if name in scripts:
            properties |= {"@type": ["File", "SoftwareSourceCode"]} | version
        added[name] = crate.add_file(dest_path=name, properties=properties)
    return added


def _content(name: str, content: bytes) -> dict[str, str]:
    about = {
        "name": name,
        "contentSize": str(len(content)),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    suffix = PurePosixPath(name).suffix
    kind = FORMATS.get(suffix) or ("text/plain" if _is_text(content) else None)
    return about | ({"encodingFormat": kind} if kind else {})


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def add_author(crate: ROCrate, number: int, author: Author) -> Entity:
    """A person, or an organisation: an author with neither a given name nor an ORCID iD."""
    more = {}
    if author.affiliation:
        identifier = f"#affiliation-{number}"
        more["affiliation"] = add(crate, identifier, "Organization", name=author.affiliation)
    return add(
        crate,
        f"https://orcid.org/{author.orcid}" if author.orcid else f"#author-{number}",
        "Person" if "," in author.name or author.orcid else "Organization",
        name=author.name,
        **more,
    )


def add_image(crate: ROCrate, image: Image) -> Entity:
    """A container image, identified by the digest of its configuration."""
    about = {
        "additionalType": {"@id": f"{TERMS}#DockerImage"},
        "name": image.digest,
        "description": f"The image of the backend {image.backend}"
        + (f", built on {image.base}" if image.base else ""),
        "sha256": image.digest.removeprefix("sha256:"),
    }
    if image.repo_digest:
        registry, name = registry_and_name(image.repo_digest)
        about |= {"registry": registry, "name": name, "identifier": image.repo_digest}
    return add(crate, f"#image/{image.digest}", "ContainerImage", **about)


def registry_and_name(reference: str) -> tuple[str, str]:
    """`ghcr.io/a/b@sha256:...` -> (`ghcr.io`, `a/b`); without a host it is Docker Hub's."""
    repository = reference.partition("@")[0]
    host, slash, rest = repository.partition("/")
    has_host = slash and ("." in host or ":" in host)
    return (host, rest) if has_host else ("docker.io", repository)


def add_job(
    crate: ROCrate,
    job: Job,
    files: Mapping[str, Entity],
    *,
    image: Entity | None,
    agents: Sequence[Entity],
) -> Entity:
    """One job as an action, with the energies that were measured in it."""
    identifier = f"#job/{job.name}"
    about = {
        "name": job.name,
        "description": job.description,
        **execution(job.started, job.ended, agents, error=job.error),
    }
    if image is not None:
        about["containerImage"] = image
    if job.energies_joules:
        about["resourceUsage"] = [
            add(
                crate,
                f"{identifier}/{key}",
                "PropertyValue",
                name=key,
                propertyID=ENERGY + key,
                value=joules,
                unitCode=JOULE,
                unitText="J",
            )
            for key, joules in sorted(job.energies_joules.items())
        ]
    # Somebody may have removed raw data: then the archive lacks some of a job's files.
    present = [
        [files[name] for name in dict.fromkeys(names) if name in files]
        for names in (job.inputs, job.outputs)
    ]
    return crate.add_action(files[STEPS[job.step].script], identifier, *present, about)


def execution(
    started: str | None, ended: str | None, agents: Sequence[Entity], *, error: str | None = None
) -> dict[str, Any]:
    """Times, agents and outcome of an action."""
    status = "Completed" if error is None else "Failed"
    about = {
        "startTime": started,
        "endTime": ended,
        "agent": list(agents) or None,
        "actionStatus": f"http://schema.org/{status}ActionStatus",
        "error": error,
    }
    return {key: value for key, value in about.items() if value is not None}
