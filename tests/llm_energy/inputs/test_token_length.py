"""Prompts of an allowed length, in tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.inputs.token_length import (
    check_length,
    cut,
    sentences_of,
    synthetic_text,
    template_end,
    truncated,
)
from llm_energy.system.errors import PromptError

IDS = st.lists(st.integers(0, 50), max_size=40)


@given(IDS, IDS, IDS)
def test_the_templates_end_is_what_two_texts_end_with(
    first: list[int], second: list[int], end: list[int]
) -> None:
    found = template_end([*first, 100, *end], [*second, 101, *end])
    assert found == end


@given(IDS, st.lists(st.integers(), max_size=5), st.integers(6, 50))
def test_a_cut_prompt_has_the_allowed_length_and_keeps_beginning_and_end(
    text: list[int], end: list[int], maximum: int
) -> None:
    ids = [*text, *end]
    kept = truncated(ids, maximum=maximum, end=end)
    assert len(kept) == min(len(ids), maximum)
    assert kept[len(kept) - len(end) :] == end
    assert kept[: len(kept) - len(end)] == text[: len(kept) - len(end)]


@given(IDS, st.integers(1, 50))
def test_a_prompt_that_is_short_enough_is_left_alone(ids: list[int], maximum: int) -> None:
    if len(ids) <= maximum:
        assert truncated(ids, maximum=maximum, end=[9] * 60) == ids


def test_a_maximum_that_leaves_nothing_of_the_prompt_is_refused() -> None:
    with pytest.raises(PromptError, match=r"max_input_tokens 3 leaves no room .* 3 tokens; raise"):
        truncated([1, 2, 3, 4, 5], maximum=3, end=[3, 4, 5])


def test_a_prompt_that_is_too_long_is_refused_with_its_length() -> None:
    check_length([1, 2, 3], maximum=3, place="mine.jsonl:1")
    with pytest.raises(PromptError) as caught:
        check_length([1, 2, 3, 4], maximum=3, place="mine.jsonl:1")
    assert str(caught.value) == (
        "mine.jsonl:1: the prompt has 4 tokens, over max_input_tokens 3; raise it, or set "
        "`on_too_long: truncate`"
    )


def test_a_prompt_without_a_token_is_refused() -> None:
    with pytest.raises(PromptError, match=r"mine\.jsonl:1: .* makes no token of this prompt"):
        check_length([], maximum=3, place="mine.jsonl:1")


SENTENCES = st.lists(st.text("abc ", min_size=1), min_size=1, max_size=9, unique=True)


def test_sentences_end_with_a_full_stop_a_question_or_an_exclamation() -> None:
    assert sentences_of("It rained.\nWhy? It\n\ndid!  Well.") == [
        "It rained.",
        "Why?",
        "It did!",
        "Well.",
    ]


@given(SENTENCES, st.integers(1, 300), st.integers(0, 9), st.integers(0, 9))
def test_there_is_enough_text_and_it_is_always_the_same(
    sentences: list[str], characters: int, seed: int, index: int
) -> None:
    text = synthetic_text(sentences, characters=characters, seed=seed, index=index)
    assert len(text) >= characters - 1
    assert text == synthetic_text(sentences, characters=characters, seed=seed, index=index)


@given(SENTENCES, st.integers(1, 100), st.integers(1, 200))
def test_a_longer_text_begins_like_a_shorter_one(
    sentences: list[str], characters: int, more: int
) -> None:
    short = synthetic_text(sentences, characters=characters, seed=1, index=0)
    long = synthetic_text(sentences, characters=characters + more, seed=1, index=0)
    assert long.startswith(short)


def test_every_prompt_and_every_seed_begins_differently() -> None:
    sentences = [f"Sentence {number}." for number in range(100)]
    texts = {
        synthetic_text(sentences, characters=20, seed=seed, index=index)
        for seed in range(5)
        for index in range(5)
    }
    assert len(texts) == 25


@given(st.lists(st.integers(), min_size=1), st.data())
def test_exactly_the_length_requested_is_kept(ids: list[int], data: st.DataObject) -> None:
    length = data.draw(st.integers(1, len(ids)))
    assert cut(ids, length) == ids[:length]


def test_a_text_that_is_too_short_is_refused() -> None:
    with pytest.raises(PromptError, match="gave 2 tokens where 3 were wanted"):
        cut([1, 2], 3)
