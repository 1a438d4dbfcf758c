"""Prompt sets as token ids, fixed before measuring, so that every engine gets the same input."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_energy.campaign.declared_inputs import (
    FilePrompts,
    PackagePrompts,
    ShippedPrompts,
    SyntheticPrompts,
)
from llm_energy.campaign.identity import SHIPPED_FIELD, prompt_file
from llm_energy.campaign.prompt_entries import read_entries
from llm_energy.campaign.prompt_source import select, text_of
from llm_energy.inputs.checksums import FILES, file_sha256
from llm_energy.inputs.interpreter import ask_worker
from llm_energy.inputs.models import verify_model
from llm_energy.inputs.packages import file_of_package
from llm_energy.inputs.recipes import PromptsRecipe
from llm_energy.inputs.token_length import (
    CHARACTERS_PER_TOKEN,
    PROBES,
    check_length,
    cut,
    sentences_of,
    synthetic_text,
    template_end,
    truncated,
)
from llm_energy.system.cache import read_marker
from llm_energy.system.errors import PromptError
from llm_energy.system.files import sha256_of

Listed = ShippedPrompts | FilePrompts | PackagePrompts
"""Prompt sets that are lists in a file."""


@dataclass(frozen=True)
class Tokenizer:
    """A model's tokenizer, as the engine in a backend's environment has it."""

    backend: str
    environment: Path
    """Marker of the environment."""
    model: Path
    """Marker of the model."""
    log: Path

    def tokenize(self, texts: Sequence[str], *, template_date: str | None) -> list[list[int]]:
        """Token ids of each text; with a date as the one user message of a chat on that date."""
        model = verify_model(self.model)
        request = {
            "op": "tokenize",
            "backend": self.backend,
            "model_path": str(model.path),
            "texts": list(texts),
            "template_date": template_date,
        }
        environment = read_marker(self.environment)
        answer = ask_worker(environment, request, readable=model.files, log=self.log)
        token_ids: list[list[int]] = answer["token_ids"]
        return token_ids


def prepare_prompts(
    recipe: PromptsRecipe, tokenizer: Tokenizer, *, root: Path, target: Path, log: Path
) -> dict[str, Any]:
    """Choose and tokenise the prompts of a set, and return the content of its marker.

    Raises:
        PromptError, InputError: a source that is not there or not the one declared, a text that
            is no prompt, a prompt that is too long; one line that names file, line and remedy.
    """
    prompts, identity = recipe.prompts, recipe.identity
    source = prompt_file(prompts, root)
    if isinstance(prompts, PackagePrompts):
        # Not beside the marker, whose name the file may have.
        source = file_of_package(prompts, prompts.sha256, target=target / FILES, log=log)
    assert source is not None, "only prompts of a package have to be fetched"
    check_source(source, declared=identity["sha256"])
    if isinstance(prompts, SyntheticPrompts):
        token_ids, cut_short = synthetic(prompts, tokenizer, prose=source), 0
    else:
        date = identity["template_date"] if prompts.chat_template else None
        token_ids, cut_short = chosen(prompts, tokenizer, source=source, template_date=date)
    lengths = [len(ids) for ids in token_ids]
    recipe.room.check(max(lengths))
    return {
        "sha256": sha256_of(token_ids),
        "count": len(token_ids),
        "truncated": cut_short,
        "input_tokens": {
            "minimum": min(lengths),
            "mean": sum(lengths) / len(lengths),
            "maximum": max(lengths),
        },
        "identity": dict(identity),
        "tokenized_by": tokenizer.backend,
        "token_ids": token_ids,
    }


def check_source(source: Path, *, declared: str) -> None:
    """Check that a prompt file is still the one that was declared."""
    if not source.is_file():
        raise PromptError(f"{source}: no such file; correct `file`")
    found = file_sha256(source)
    if found != declared:
        raise PromptError(
            f"{source} has sha256 {found}, declared is {declared}; restore it, or start again to "
            "measure with the new one"
        )


def chosen(
    prompts: Listed, tokenizer: Tokenizer, *, source: Path, template_date: str | None
) -> tuple[list[list[int]], int]:
    """Token ids of the prompts chosen from a file, and how many of them were cut short."""
    field = SHIPPED_FIELD if isinstance(prompts, ShippedPrompts) else prompts.field
    entries = select(read_entries(source), limit=prompts.limit, seed=prompts.seed)
    texts = [text_of(entry, field) for entry in entries]
    *token_ids, first, second = tokenizer.tokenize([*texts, *PROBES], template_date=template_date)
    if template_date is not None and first == second:
        raise PromptError(
            "two different texts have the same token ids: the model's chat template leaves out "
            "what it is given; set `chat_template: false`, or take a model with a whole one"
        )
    maximum = prompts.max_input_tokens
    too_long = sum(len(ids) > maximum for ids in token_ids) if maximum is not None else 0
    if maximum is not None and prompts.on_too_long == "truncate":
        end = template_end(first, second)
        token_ids = [truncated(ids, maximum=maximum, end=end) for ids in token_ids]
    for entry, ids in zip(entries, token_ids, strict=True):
        check_length(ids, maximum=maximum or len(ids), place=entry.place)
    return token_ids, too_long


def synthetic(prompts: SyntheticPrompts, tokenizer: Tokenizer, *, prose: Path) -> list[list[int]]:
    """Token ids of prompts of one exact length."""
    shape = prompts.synthetic
    sentences = sentences_of(prose.read_text(encoding="utf-8"))
    characters = shape.input_tokens * CHARACTERS_PER_TOKEN
    texts = [
        synthetic_text(sentences, characters=characters, seed=prompts.seed, index=index)
        for index in range(shape.count)
    ]
    token_ids = tokenizer.tokenize(texts, template_date=None)
    return [cut(ids, shape.input_tokens) for ids in token_ids]
