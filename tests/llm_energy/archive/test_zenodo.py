"""Metadata for Zenodo follow from a citation file, for software and for data."""

from pathlib import Path

import yaml

from llm_energy.archive.zenodo import deposit
from llm_energy.campaign.publication import Related

DATA = {
    "type": "dataset",
    "title": "What a batch costs",
    "abstract": "Some results.",
    "authors": [
        {
            "family-names": "Doe",
            "given-names": "Jane",
            "orcid": "https://orcid.org/0000-0002-1825-0097",
            "affiliation": "Somewhere",
        },
        {"name": "The Group"},
    ],
    "license": "CC-BY-4.0",
    "keywords": ["energy"],
    "date-released": "2026-11-24",
}


def test_a_citation_of_data():
    assert deposit(DATA, [Related(identifier="10.1234/paper")]) == {
        "title": "What a batch costs",
        "upload_type": "dataset",
        "description": "Some results.",
        "creators": [
            {"name": "Doe, Jane", "affiliation": "Somewhere", "orcid": "0000-0002-1825-0097"},
            {"name": "The Group"},
        ],
        "access_right": "open",
        "license": "CC-BY-4.0",
        "publication_date": "2026-11-24",
        "keywords": ["energy"],
        "related_identifiers": [{"identifier": "10.1234/paper", "relation": "isSupplementTo"}],
    }


def test_the_workflow_s_own_citation_is_one_of_software():
    citation = yaml.safe_load((Path(__file__).parents[3] / "CITATION.cff").read_text())
    metadata = deposit(citation)
    assert metadata is not None
    assert (metadata["upload_type"], metadata["license"]) == ("software", "MIT")
    assert metadata["creators"] == [{"name": "The llm-energy-workflow authors"}]
    assert metadata["description"] == citation["abstract"]


def test_without_a_licence_there_is_none():
    assert deposit({key: value for key, value in DATA.items() if key != "license"}) is None
