"""Texts that stand for token ids, and tokens that are counted in the text of an answer."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.engines._retokeniser import Retokeniser
from worker.engines.base import EngineError
from worker.serving.texts import same_text


class Words:
    """In place of the package `tokenizers`, which is in an engine's environment: splits at blanks
    and signs, as a real one in tests/worker/engines/test_openai_engines.py does."""

    @classmethod
    def from_file(cls, _: str) -> "Words":
        return cls()

    def encode(self, text: str, *, add_special_tokens: bool) -> SimpleNamespace:
        assert not add_special_tokens
        return SimpleNamespace(offsets=[found.span() for found in re.finditer(r"\w+|!", text)])


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a tokenizer, and the package that reads it."""
    (tmp_path / "tokenizer.json").touch()
    monkeypatch.setitem(sys.modules, "tokenizers", SimpleNamespace(Tokenizer=Words))
    return tmp_path


@pytest.mark.parametrize(
    ("chunks", "counts"),
    [
        (["good morning!"], [3]),
        (["good", " morning", "!"], [1, 1, 1]),
        (["go", "od mor", "ning!"], [0, 1, 2]),
        (["good morning", " ", "night"], [2, 0, 1]),
        (["好", " 好"], [1, 1]),
        ([""], [0]),
        ([], []),
    ],
)
def test_a_token_is_in_the_chunk_of_its_last_character(
    model: Path, chunks: list[str], counts: list[int]
) -> None:
    assert Retokeniser(str(model)).chunk_tokens(chunks) == counts


@given(st.lists(st.text("god morni!好 ", max_size=6), max_size=8))
def test_the_sum_is_that_of_the_whole_text_however_it_is_cut(
    model: Path, chunks: list[str]
) -> None:
    counted = Retokeniser(str(model))
    assert sum(counted.chunk_tokens(chunks)) == sum(counted.chunk_tokens(["".join(chunks)]))


def test_an_environment_without_the_package_is_an_error(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(EngineError, match="needs the package tokenizers in the environment"):
        Retokeniser(str(model))


def test_a_model_without_a_tokenizer_in_one_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"needs a model with tokenizer\.json"):
        Retokeniser(str(tmp_path))


@pytest.mark.parametrize(
    ("again", "without_first", "whole"),
    [
        ([1, 2, 3], [1, 1, 2, 3], True),
        ([1, 1, 2, 3], [1, 2, 3], False),  # the tokenizer adds the start by itself
        ([1, 5, 6], [9, 9], True),  # other tokens, as many
        ([1, 5, 6, 7], [9, 9, 9], False),
        ([1, 5, 6, 7], [9, 9], None),
    ],
)
def test_a_text_stands_for_a_prompt_of_as_many_tokens(
    again: list[int], without_first: list[int], whole: bool | None
) -> None:
    assert same_text([1, 2, 3], again, without_first) is whole
