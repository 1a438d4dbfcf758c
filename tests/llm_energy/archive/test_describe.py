"""The metadata of a deposit follow from the publication and the citation."""

from llm_energy.archive.describe import deposit, expected_numbers
from llm_energy.campaign.publication import Author, Publication, Related

CITATION = {
    "title": "What a batch costs",
    "abstract": "Some results.",
    "date-released": "2026-11-24",
}
AUTHOR = Author(name="Doe, Jane", orcid="0000-0002-1825-0097", affiliation="Somewhere")
PUBLICATION = Publication(
    authors=[AUTHOR, "The Group"],
    licence="CC-BY-4.0",
    keywords=["energy"],
    related=[Related(identifier="10.1234/paper")],
)


def test_a_deposit_of_data():
    assert deposit(CITATION, PUBLICATION) == {
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


def test_what_is_not_given_is_absent():
    short = deposit(CITATION, Publication(authors=["The Group"], licence="CC-BY-4.0"))
    assert short is not None
    assert not {"keywords", "related_identifiers"} & short.keys()


def test_without_authors_or_a_licence_there_is_none():
    assert deposit(CITATION, PUBLICATION.model_copy(update={"licence": None})) is None
    assert deposit(CITATION, PUBLICATION.model_copy(update={"authors": []})) is None


def test_an_expected_joule_has_its_total_interval_and_a_speed_has_none(summary_of):
    rows = list(expected_numbers(summary_of(metered=True).experiments))
    energies = [row for row in rows if row["unit"] == "J/token"]
    speeds = [row for row in rows if row["unit"] == "tokens/s"]
    assert len(energies) == len(speeds) == 4
    for row in energies:
        total, again = (
            float(row[name].strip("±\N{NO-BREAK SPACE}%")) for name in ("total", "again")
        )
        assert total > again / 2**0.5
    assert {row["total"] for row in speeds} == {"-"}
