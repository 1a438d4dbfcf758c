"""What a crate says of one file, author, image or job: each function adds the entities of one.

The terms are those of the profiles of Workflow Run RO-Crate: https://w3id.org/ro/wfrun/provenance/0.5
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from llm_energy.archive.jobs import STEPS, Image, Job
from llm_energy.campaign.publication import Author

TERMS = "https://w3id.org/ro/terms/workflow-run"
ENERGY = "workflow/config/schemas/result.schema.yaml#/$defs/Energy/properties/"
"""Where the archive says what an energy is."""

BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
JOULE = "https://qudt.org/vocab/unit/J"

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
"""A table of our own: that of the host differs between hosts."""


def add(crate: ROCrate, identifier: str, type_: str, /, **properties: Any) -> Entity:
    """Something that is no file."""
    return crate.add(ContextEntity(crate, identifier, properties={"@type": type_, **properties}))


def add_file(crate: ROCrate, name: str, content: bytes) -> Entity:
    """A file of the archive, with size and checksum."""
    return crate.add_file(dest_path=name, properties=_content(name, content))


def add_script(crate: ROCrate, name: str, content: bytes, commit: str | None) -> Entity:
    """What the jobs of a step run."""
    about = {"@type": ["File", "SoftwareSourceCode"], **_content(name, content), **_version(commit)}
    return crate.add_file(dest_path=name, properties=about)


def add_snakefile(crate: ROCrate, name: str, content: bytes, commit: str | None) -> Entity:
    """The crate's main workflow."""
    about = {
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
        "conformsTo": {"@id": BIOSCHEMAS},
        **_content(name, content),
        **_version(commit),
    }
    return crate.add_workflow(dest_path=name, main=True, lang="snakemake", properties=about)


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


def _version(commit: str | None) -> dict[str, str]:
    return {"version": commit} if commit else {}


def add_author(crate: ROCrate, number: int, author: Author) -> Entity:
    """A person, or an organisation: who has neither a given name nor an ORCID iD."""
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
    more = {}
    if image.repo_digest:
        registry, name = registry_and_name(image.repo_digest)
        more = {"registry": registry, "name": name, "identifier": image.repo_digest}
    on = f", built on {image.base}" if image.base else ""
    about = {
        "additionalType": {"@id": f"{TERMS}#DockerImage"},
        "name": image.digest,
        "description": f"The image of the backend {image.backend}{on}",
        "sha256": image.digest.removeprefix("sha256:"),
    }
    return add(crate, f"#image/{image.digest}", "ContainerImage", **about | more)


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
    """What a job did, with the energies that were measured of it."""
    identifier = f"#job/{job.name}"
    about: dict[str, Any] = {
        "@type": "CreateAction",
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
    # Raw data may have been taken away: then the archive does not hold all that a job made.
    there = [
        [files[name] for name in dict.fromkeys(names) if name in files]
        for names in (job.inputs, job.outputs)
    ]
    return crate.add_action(files[STEPS[job.step].script], identifier, *there, about)


def execution(
    started: str | None, ended: str | None, agents: Sequence[Entity], *, error: str | None = None
) -> dict[str, Any]:
    """When something was done, who did it, and whether it came to its end."""
    status = "Completed" if error is None else "Failed"
    about = {
        "startTime": started,
        "endTime": ended,
        "agent": list(agents) or None,
        "actionStatus": f"http://schema.org/{status}ActionStatus",
        "error": error,
    }
    return {key: value for key, value in about.items() if value is not None}
