"""Prompts of a length: made of exactly one, or refused or cut where they are too long."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from llm_energy.system.errors import PromptError

CHARACTERS_PER_TOKEN = 8
"""Text that is tokenised for each token wanted. English has 4 to 5 characters to a token."""

PROBES = ("a", "1")
"""Two texts that share no token: the common end of their token ids is the template's end."""


@dataclass(frozen=True)
class Room:
    """The least room for prompts among the experiments of a campaign that use a set."""

    context_tokens: int
    output_tokens: int

    def check(self, longest: int) -> None:
        """Check that a set fits whose longest prompt has `longest` tokens."""
        if longest + self.output_tokens > self.context_tokens:
            raise PromptError(
                f"a prompt of {longest} tokens does not fit the experiments with output_tokens "
                f"{self.output_tokens} and context_tokens {self.context_tokens}; raise "
                "context_tokens, or lower max_input_tokens"
            )


def template_end(first: Sequence[int], second: Sequence[int]) -> list[int]:
    """Token ids that a chat template puts after every prompt, from those of the two probes."""
    length = 0
    while length < min(len(first), len(second)) and first[-1 - length] == second[-1 - length]:
        length += 1
    return list(first[len(first) - length :])


def truncated(token_ids: Sequence[int], *, maximum: int, end: Sequence[int]) -> list[int]:
    """The first token ids, at most `maximum` of them with the template's `end` kept whole."""
    if len(token_ids) <= maximum:
        return list(token_ids)
    if maximum <= len(end):
        raise PromptError(
            f"max_input_tokens {maximum} leaves no room for a prompt: the chat template alone "
            f"ends with {len(end)} tokens; raise it"
        )
    return [*token_ids[: maximum - len(end)], *end]


def check_length(token_ids: Sequence[int], *, maximum: int, place: str) -> None:
    """Check that a prompt is neither empty nor too long."""
    if not token_ids:
        raise PromptError(f"{place}: the model's tokenizer makes no token of this prompt")
    if len(token_ids) > maximum:
        raise PromptError(
            f"{place}: the prompt has {len(token_ids)} tokens, over max_input_tokens {maximum}; "
            "raise it, or set `on_too_long: truncate`"
        )


def sentences_of(prose: str) -> list[str]:
    """The sentences of a text, each on one line."""
    plain = " ".join(prose.split())
    return re.split(r"(?<=[.!?])\s+", plain)


def synthetic_text(sentences: Sequence[str], *, characters: int, seed: int, index: int) -> str:
    """Sentences in an order chosen by `seed` and by the prompt's `index`: `characters` or more.

    Every sentence comes once before one comes again.
    """
    shuffled = _shuffled_for_ever(sentences, f"{seed}/{index}")
    text: list[str] = []
    length = 0
    while length < characters:
        text.append(next(shuffled))
        length += len(text[-1]) + 1
    return " ".join(text)


def _shuffled_for_ever(sentences: Sequence[str], key: str) -> Iterator[str]:
    for turn in count():
        yield from sorted(
            sentences, key=lambda s: hashlib.sha256(f"{key}/{turn}/{s}".encode()).digest()
        )


def cut(token_ids: Sequence[int], length: int) -> list[int]:
    """Exactly `length` token ids."""
    if len(token_ids) < length:
        raise PromptError(
            f"the shipped text gave {len(token_ids)} tokens where {length} were wanted: this "
            "tokenizer has unusually long tokens; use a prompt file of your own"
        )
    return list(token_ids[:length])
