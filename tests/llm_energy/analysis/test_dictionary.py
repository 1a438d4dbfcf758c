"""Every column of every table is explained, and nothing else is."""

import pytest

from llm_energy.analysis.dictionary import dictionary, unit


def test_every_column_has_a_meaning(summary_of):
    found = dictionary(summary_of(metered=True, side_files=True))
    assert set(found["table"]) == {"measurements", "experiments", "power", "latencies"}
    nameless = found[found["meaning"] == ""]
    assert list(nameless["column"]) == []


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("joules_per_output_token", "J/token"),
        ("energy_joules", "J"),
        ("time_to_first_token_p50_s", "s"),
        ("time_to_first_token_count", ""),
        ("measurement.sampling_hz", "Hz"),
        ("output_tokens", "tokens"),
        ("experiment", ""),
        ("prompts_sha256", ""),
    ],
)
def test_units_follow_from_names(column, expected):
    assert unit(column) == expected
