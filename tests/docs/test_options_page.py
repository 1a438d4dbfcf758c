"""docs/backends.md has the options of every backend, as the adapters define them."""

from pathlib import Path

import pytest
from docs.generate.options_page import PAGE, with_options

from llm_energy.campaign.engine_options import available_backends, read_engine

ROOT = Path(__file__).parents[2]


@pytest.fixture
def page() -> str:
    return (ROOT / PAGE).read_text(encoding="utf-8")


def test_it_is_up_to_date(page: str) -> None:
    remedy = "run: PYTHONPATH=scripts .venv/bin/python -m docs.generate.options_page"
    assert with_options(page, ROOT) == page, remedy


def test_every_backend_says_its_load_modes(page: str) -> None:
    for backend in available_backends(ROOT):
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{backend}` |")]
        told = row.split("|")[4].split(",")
        assert {mode.strip() for mode in told} == read_engine(ROOT, backend).load_modes


def test_a_backend_without_a_place_is_a_mistake(page: str) -> None:
    with pytest.raises(ValueError, match="no place for the options of vllm"):
        with_options(page.replace("options of vllm", "options of nobody"), ROOT)


def test_what_never_ran_is_said(page: str) -> None:
    (row,) = [line for line in page.splitlines() if line.startswith("| `tensorrt` |")]
    assert "| nothing |" in row
