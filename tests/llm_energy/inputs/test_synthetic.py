"""Prompts of one exact length."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.inputs.synthetic import cut, sentences_of, synthetic_text
from llm_energy.system.errors import PromptError

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
