"""Choose prompts from the entries of a file by a seed, and refuse what is no prompt."""

import hashlib
import json
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from llm_energy.campaign.problems import listed, printable, shown
from llm_energy.campaign.prompt_entries import ACCEPTED, Entry
from llm_energy.system.errors import PromptError

MAXIMUM_CHARACTERS = 1_000_000
"""Longest prompt that is tokenised at all: more than the largest contexts in use hold."""

ALLOWED_CONTROL = frozenset("\t\n\r")

TEXTS_SHOWN = 6
"""Places of texts that a message names, where an entry has not the declared one."""

DEEPEST_SHOWN = 8
"""Levels of an entry that are searched for them."""

REMEDY = "correct it, or leave it out with another `seed` or `limit`"


def select(entries: Sequence[Entry], *, limit: int | None, seed: int) -> list[Entry]:
    """Return `limit` entries in an order that the seed chooses; all of them without a limit.

    The rank of an entry depends on the seed and on its content alone: raising the limit keeps the
    earlier ones in their places, and a line added elsewhere changes no other's rank.

    Raises:
        PromptError: there are fewer than `limit`.
    """
    if limit is not None and limit > len(entries):
        place = entries[0].place.rpartition(":")[0] or entries[0].place
        raise PromptError(
            f"{place}: has {len(entries)} prompts, `limit` asks for {limit}; lower `limit`"
        )
    prefix = f"{seed}/".encode()
    ranked = sorted(entries, key=lambda entry: hashlib.sha256(prefix + entry.content).digest())
    return ranked[:limit]


def text_of(entry: Entry, field: str) -> str:
    """Return the prompt of an entry.

    Args:
        field: keys and list indices, joined by dots: `prompt`, `turns.0`.

    Raises:
        PromptError: no such text, or a text that is no prompt; names file and line.
    """
    try:
        value: Any = json.loads(entry.content.decode())
    except UnicodeDecodeError as error:
        byte = entry.content[error.start]
        raise PromptError(
            f"{entry.place}: not UTF-8 (byte 0x{byte:02x} at column {error.start + 1}); save the "
            "file as UTF-8"
        ) from error
    except (ValueError, RecursionError) as error:
        line = shown(entry.content.decode())
        message = f"{entry.place}: not JSON ({error}): {line}; {REMEDY}; {ACCEPTED}"
        raise PromptError(printable(message)) from error
    try:
        text = _at(value, field)
    except (LookupError, ValueError) as error:
        raise PromptError(f"{entry.place}: has no field {field}; {_found(value)}") from error
    if not isinstance(text, str):
        raise PromptError(f"{entry.place}: field {field} is no text; {_found(value)}")
    if fault := _fault(text):
        raise PromptError(f"{entry.place}: the prompt {fault}; {REMEDY}")
    return text


def _at(value: Any, field: str) -> Any:
    """Return what lies at a field; where keys hold dots themselves, the longest key counts.

    Raises:
        LookupError, ValueError: nothing does.
    """
    parts = field.split(".")
    while parts:
        length = 1
        if isinstance(value, list):
            value = value[int(parts[0])]
        elif isinstance(value, dict):
            fits = (n for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in value)
            length = next(fits, 1)
            value = value[".".join(parts[:length])]
        else:
            raise LookupError(parts[0])
        parts = parts[length:]
    return value


def _found(value: Any) -> str:
    """Say which fields of an entry hold texts, and what to do."""
    if not isinstance(value, dict | list):
        found = printable(shown(value))
        return f'the entry is {found}, and must have keys, as {{"prompt": "..."}} has'
    texts = list(islice(_texts(value), TEXTS_SHOWN + 1))
    if not texts:
        return f"the entry has no text at all: {printable(shown(value))}"
    more = ", …" if len(texts) > TEXTS_SHOWN else ""
    return f"its texts are at {printable(listed(texts[:TEXTS_SHOWN]))}{more}; correct `field`"


def _texts(value: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the field of every text in an entry."""
    if isinstance(value, str):
        yield ".".join(path)
    elif isinstance(value, dict | list) and len(path) < DEEPEST_SHOWN:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield from _texts(inner, (*path, str(key)))


def _fault(text: str) -> str | None:
    """Why a text is no prompt: empty, far too long, or with characters of damaged text only."""
    if not text.strip():
        return "is empty"
    if len(text) > MAXIMUM_CHARACTERS:
        return f"has {len(text)} characters, at most {MAXIMUM_CHARACTERS} are taken"
    for position, character in enumerate(text, start=1):
        # Control characters, and halves of a surrogate pair.
        if unicodedata.category(character) in ("Cc", "Cs") and character not in ALLOWED_CONTROL:
            return f"has the control character U+{ord(character):04X} at position {position}"
    return None
