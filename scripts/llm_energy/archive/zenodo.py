"""`.zenodo.json`: what Zenodo asks of a deposit, from a citation file.

Fields: https://developers.zenodo.org/#deposit-metadata. Where a repository has this file, Zenodo's
GitHub integration does not read its CITATION.cff.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llm_energy.campaign.publication import Related

ORCID = "https://orcid.org/"


def deposit(citation: Mapping[str, Any], related: Sequence[Related] = ()) -> dict[str, Any] | None:
    """The metadata of a deposit, of data or of software.

    None without a licence, which an open deposit needs.

    Args:
        citation: content of a CITATION.cff (Citation File Format 1.2.0).
        related: what the deposit belongs to.
    """
    if not citation.get("license"):
        return None
    metadata: dict[str, Any] = {
        "title": citation["title"],
        "upload_type": citation.get("type", "software"),
        "description": citation.get("abstract", citation["title"]),
        "creators": [creator(author) for author in citation["authors"]],
        "access_right": "open",
        "license": citation["license"],
    }
    if "date-released" in citation:
        metadata["publication_date"] = str(citation["date-released"])
    if "version" in citation:
        metadata["version"] = str(citation["version"])
    if citation.get("keywords"):
        metadata["keywords"] = list(citation["keywords"])
    if related:
        metadata["related_identifiers"] = [one.model_dump(mode="json") for one in related]
    return metadata


def creator(author: Mapping[str, str]) -> dict[str, str]:
    """An author of a citation file, a person or an organisation, as Zenodo names them."""
    names = [author[key] for key in ("family-names", "given-names") if author.get(key)]
    about = {"name": author.get("name") or ", ".join(names)}
    if affiliation := author.get("affiliation"):
        about["affiliation"] = affiliation
    if orcid := author.get("orcid"):
        about["orcid"] = orcid.removeprefix(ORCID)
    return about
