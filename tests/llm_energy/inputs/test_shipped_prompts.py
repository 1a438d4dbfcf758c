"""The prompt sets that come with the workflow."""

import json
from collections import Counter
from pathlib import Path

from llm_energy.campaign.prompt_entries import read_entries
from llm_energy.campaign.prompt_source import text_of
from llm_energy.inputs.token_length import sentences_of

SHIPPED = Path(__file__).parents[3] / "config" / "prompts"


def test_everyday_holds_64_different_prompts_in_8_categories_of_equal_size() -> None:
    entries = read_entries(SHIPPED / "everyday.jsonl")
    assert len({text_of(entry, "prompt") for entry in entries}) == 64
    categories = Counter(text_of(entry, "category") for entry in entries)
    assert list(categories.values()) == [8] * 8


def test_everyday_prompts_are_short_and_of_different_lengths() -> None:
    words = [len(text_of(e, "prompt").split()) for e in read_entries(SHIPPED / "everyday.jsonl")]
    assert (min(words), max(words)) == (9, 32)


def test_everyday_lines_hold_nothing_but_prompt_and_category() -> None:
    for line in (SHIPPED / "everyday.jsonl").read_text(encoding="utf-8").splitlines():
        assert set(json.loads(line)) == {"prompt", "category"}


def test_prose_is_enough_different_text_for_long_prompts() -> None:
    prose = (SHIPPED / "prose.txt").read_text(encoding="utf-8")
    sentences = sentences_of(prose)
    assert len(prose) > 15_000
    assert len(set(sentences)) > 150
    assert max(map(len, sentences)) < 400
