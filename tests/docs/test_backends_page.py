"""docs/backends.md says of every backend what it can do and what of that never ran."""

from pathlib import Path

import pytest
from docs.generate.schemas import generated

from llm_energy.campaign.engine_options import available_backends, read_engine

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/backends.md").read_text(encoding="utf-8")


def row_of(backend: str) -> str:
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{backend}` |")]
    return row


@pytest.mark.parametrize("backend", available_backends(ROOT))
def test_every_backend_has_its_load_modes_in_the_table(backend: str) -> None:
    modes = row_of(backend).split("|")[4].split(",")
    assert {mode.strip() for mode in modes} == read_engine(ROOT, backend).load_modes


def test_a_backend_without_a_place_for_its_options_is_a_mistake(tmp_path: Path) -> None:
    for part in ("config", "docs", "scripts", "envs"):
        (tmp_path / part).symlink_to(ROOT / part)
    (tmp_path / "docs").unlink()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/results.md").symlink_to(ROOT / "docs/results.md")
    (tmp_path / "docs/backends.md").write_text(PAGE.replace("options of vllm", "options of nobody"))
    with pytest.raises(ValueError, match=r"docs/backends\.md lacks the line .*options of vllm"):
        generated(tmp_path)


def test_the_page_says_what_never_ran() -> None:
    assert "| nothing |" in row_of("tensorrt")
