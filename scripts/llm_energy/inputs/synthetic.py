"""Prompts of one exact length, cut from text: real words in real sentences, in a seeded order."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from itertools import count

from llm_energy.system.errors import PromptError

CHARACTERS_PER_TOKEN = 8
"""Text that is tokenised for each token wanted. English has 4 to 5 characters to a token."""


def sentences_of(prose: str) -> list[str]:
    """The sentences of a text, each on one line."""
    plain = " ".join(prose.split())
    return re.split(r"(?<=[.!?])\s+", plain)


def synthetic_text(sentences: Sequence[str], *, characters: int, seed: int, index: int) -> str:
    """Sentences in an order chosen by `seed` and by the prompt's `index`: `characters` or more.

    Every sentence comes once before one comes again.
    """
    text: list[str] = []
    length = 0
    for sentence in _shuffled_for_ever(sentences, f"{seed}/{index}"):
        text.append(sentence)
        length += len(sentence) + 1
        if length >= characters:
            return " ".join(text)
    raise ValueError("no sentences")


def _shuffled_for_ever(sentences: Sequence[str], key: str) -> Iterator[str]:
    if not sentences:
        return
    for turn in count():
        yield from sorted(
            sentences, key=lambda s: hashlib.sha256(f"{key}/{turn}/{s}".encode()).digest()
        )


def cut(token_ids: Sequence[int], length: int) -> list[int]:
    """Exactly `length` token ids.

    Raises:
        PromptError: the text had fewer.
    """
    if len(token_ids) < length:
        raise PromptError(
            f"the shipped text gave {len(token_ids)} tokens where {length} were wanted: this "
            "tokenizer has unusually long tokens; use a prompt file of your own"
        )
    return list(token_ids[:length])
