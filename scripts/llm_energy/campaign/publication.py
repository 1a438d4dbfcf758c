"""Bibliographic data of an archive: who measured, and how to find and use the data."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from llm_energy.campaign.types import Alternatives, Model, Text

ORCID = r"^\d{4}-\d{4}-\d{4}-\d{3}[\dX]$"

Relation = Literal[
    "isSupplementTo",
    "isDocumentedBy",
    "isDerivedFrom",
    "isNewVersionOf",
    "isPartOf",
    "references",
]
"""DataCite's relation types between a campaign's data and something else."""


def check_character(orcid: str) -> str:
    """Return the last character that an ORCID iD must have: ISO 7064 MOD 11-2 of its digits."""
    total = 0
    for digit in orcid.replace("-", "")[:-1]:
        total = 2 * (total + int(digit))
    return "0123456789X"[(12 - total % 11) % 11]


def _adds_up(orcid: str) -> str:
    """A mistyped one may be somebody else's."""
    if check_character(orcid) != orcid[-1]:
        message = "must be an ORCID iD: its last character does not fit the others"
        raise PydanticCustomError("kind", message)
    return orcid


class Author(Model):
    """Somebody who measured, distinguished from others of the same name."""

    name: Text
    """`Family name, Given name`, or the name of an organisation."""
    orcid: Annotated[str, Field(pattern=ORCID), AfterValidator(_adds_up)] | None = None
    """ORCID iD, such as `0000-0002-1825-0097`."""
    affiliation: Text | None = None
    """Name of the institution."""


class Related(Model):
    """Something that the data belong to, such as the paper."""

    identifier: Text
    """Its DOI or address."""
    relation: Relation = "isSupplementTo"
    """Relation of the data to it, in DataCite's terms."""


class Publication(Model):
    """Bibliographic data of the campaign's archive; no part of what is measured."""

    title: Text | None = None
    """Title of the data."""
    description: Text | None = None
    """The data in a few sentences. Default: the counts of experiments and measurements."""
    authors: list[
        Annotated[
            Text | Author, Alternatives(str, dict, message="must be a name, or keys with a name")
        ]
    ] = Field(default_factory=list)
    """Who measured: `Family name, Given name`, the name of an organisation, or keys with
    more; the archive names them as agents of its jobs."""
    licence: Text | None = None
    """Licence of the data, as its SPDX identifier, such as `CC-BY-4.0`."""
    keywords: list[Text] = Field(default_factory=list)
    """Words to find them by."""
    related: list[Related] = Field(default_factory=list)
    """Publications that the data belong to, such as the paper."""

    @property
    def who(self) -> list[Author]:
        """The authors, all in their long form."""
        return [Author(name=one) if isinstance(one, str) else one for one in self.authors]
