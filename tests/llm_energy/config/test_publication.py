"""Who measured may be a name, or keys that say more."""

import pytest
from pydantic import ValidationError

from llm_energy.config.publication import Author, Publication


def test_a_name_alone_is_an_author():
    given = ["Doe, Jane", {"name": "Roe, Richard", "orcid": "0000-0002-1825-0097"}]
    assert Publication(authors=given).who == [
        Author(name="Doe, Jane"),
        Author(name="Roe, Richard", orcid="0000-0002-1825-0097"),
    ]


@pytest.mark.parametrize(
    "author", [7, {}, {"orcid": "0000-0002-1825-0097"}, {"name": "Doe", "orcid": "1825-0097"}]
)
def test_nothing_else_is(author):
    with pytest.raises(ValidationError):
        Publication(authors=[author])


def test_what_the_data_belong_to_is_said_in_the_terms_of_datacite():
    (paper,) = Publication(related=[{"identifier": "10.1234/paper"}]).related
    assert paper.relation == "isSupplementTo"
    with pytest.raises(ValidationError):
        Publication(related=[{"identifier": "10.1234/paper", "relation": "belongs"}])
