"""The stored example is a whole campaign that today's code reads, and the pictures are of it."""

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def summary():
    spec = importlib.util.spec_from_file_location("pictures", DOCS / "pictures.py")
    pictures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pictures)
    return pictures.example()


def test_it_is_whole(summary):
    assert summary.findings.complete
    assert summary.findings.side_file_gaps == []
    assert summary.findings.completed == summary.findings.planned == 12
    assert len(summary.latencies) > 0


def test_it_claims_no_energy_that_was_not_measured(summary):
    assert summary.measurements["energy_joules"].isna().all()
    assert set(summary.measurements["energy_reason"]) == {"no_meter"}


def test_every_picture_that_its_page_shows_is_there():
    shown = re.findall(r"!\[[^]]*\]\(([^)]*)\)", (DOCS / "example/README.md").read_text())
    assert shown
    assert all((DOCS / "example" / path).exists() for path in shown)
