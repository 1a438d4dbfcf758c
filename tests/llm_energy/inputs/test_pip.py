"""Errors of pip become one line with a remedy."""

import pytest

from llm_energy.inputs.pip import explain

MISSING = "ERROR: No matching distribution found for {}\n"


def test_a_missing_torch_wheel_names_the_variable_for_another_index() -> None:
    told = explain(MISSING.format("torch==2.13.0+cpu"))
    assert "no torch==2.13.0+cpu for this machine" in told
    assert "PIP_EXTRA_INDEX_URL" in told


def test_another_missing_package_is_not_blamed_on_torch() -> None:
    told = explain(MISSING.format("torchmetrics==1.0"))
    assert "no torchmetrics==1.0 for Python 3." in told
    assert "PIP_EXTRA_INDEX_URL" not in told


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("/usr/bin/python3: No module named pip\n", "-m ensurepip"),
        ("ERROR: [Errno 28] No space left on device\n", "no space left"),
        ("WARNING: Retrying: Temporary failure in name resolution\n", "cannot be reached"),
        ("Max retries exceeded with url: /simple/six/\n" + MISSING.format("six"), "be reached"),
        ("ERROR: first\nmore\nERROR: In --require-hashes mode, no.\n", "In --require-hashes mode"),
        ("", "pip failed without a message"),
    ],
)
def test_other_failures_have_their_own_words(output: str, told: str) -> None:
    assert told in explain(output)


@pytest.mark.parametrize("output", ["ERROR: a\nb", MISSING.format("six==1"), "", "x\ny"])
def test_it_is_always_one_line(output: str) -> None:
    assert "\n" not in explain(output)
