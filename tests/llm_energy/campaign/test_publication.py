"""Who measured may be a name, or keys that say more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from llm_energy.campaign.publication import Author, Publication, check_character


def test_a_name_alone_is_an_author():
    authors = ["Doe, Jane", {"name": "Roe, Richard", "orcid": "0000-0002-1825-0097"}]
    assert Publication(authors=authors).who == [
        Author(name="Doe, Jane"),
        Author(name="Roe, Richard", orcid="0000-0002-1825-0097"),
    ]


@pytest.mark.parametrize(
    "author", [7, {}, {"orcid": "0000-0002-1825-0097"}, {"name": "Doe", "orcid": "1825-0097"}]
)
def test_nothing_else_is(author):
    with pytest.raises(ValidationError):
        Publication(authors=[author])


@pytest.mark.parametrize("orcid", ["0000-0002-1825-0097", "0000-0002-9079-593X"])
def test_orcid_ids_of_its_documentation_add_up(orcid):
    assert Author(name="Doe, Jane", orcid=orcid).orcid == orcid


@given(st.integers(0, 10**15 - 1), st.integers(0, 14), st.integers(1, 9))
def test_one_mistyped_digit_is_found(number, position, more):
    digits = f"{number:015d}"
    other = str((int(digits[position]) + more) % 10)
    mistyped = digits[:position] + other + digits[position + 1 :]
    assert check_character(f"{digits}0") in "0123456789X"
    assert check_character(f"{digits}0") != check_character(f"{mistyped}0")


def test_what_the_data_belong_to_is_stated_in_the_terms_of_datacite():
    (paper,) = Publication(related=[{"identifier": "10.1234/paper"}]).related
    assert paper.relation == "isSupplementTo"
    with pytest.raises(ValidationError):
        Publication(related=[{"identifier": "10.1234/paper", "relation": "belongs"}])
