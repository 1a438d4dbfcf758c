"""Read prompts from a file, choose some by a seed, and refuse what is no prompt."""

import gzip
import hashlib
import json
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_energy.campaign.problems import printable
from llm_energy.system.errors import PromptError

MAXIMUM_CHARACTERS = 1_000_000
"""Longest prompt that is tokenised at all: more than the largest contexts in use hold."""

ALLOWED_CONTROL = frozenset("\t\n\r")

REMEDY = "correct it, or leave it out with another `seed` or `limit`"


@dataclass(frozen=True)
class Entry:
    """One entry of a prompt file; it is parsed only if it is chosen."""

    place: str
    """File and line, for messages."""
    content: bytes
    """Its JSON text."""


def read_entries(path: Path) -> list[Entry]:
    """Read a prompt file: lines of JSON, or one JSON array (`.json`), or either as `.gz`.

    Raises:
        PromptError: no such file, not of that kind, or nothing in it.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise PromptError(f"{path}: not a whole gzip file; correct `file`") from error
    except OSError as error:
        raise PromptError(f"{path}: {error.strerror}; correct `file`") from error
    content = content.removeprefix(b"\xef\xbb\xbf")  # the mark that some editors put first
    if path.name.removesuffix(".gz").endswith(".json"):
        entries = _from_array(content, path)
    else:
        lines = enumerate(map(bytes.strip, content.splitlines()), start=1)
        entries = [Entry(f"{path}:{number}", line) for number, line in lines if line]
    if not entries:
        raise PromptError(f"{path}: has no prompts; correct `file`")
    return entries


def _from_array(content: bytes, path: Path) -> list[Entry]:
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise PromptError(f"{path}: not JSON in UTF-8: {error}") from error
    if not isinstance(values, list):
        raise PromptError(f"{path}: not a JSON array; give a file with one prompt on each line")
    return [Entry(f"{path}[{i}]", json.dumps(v).encode()) for i, v in enumerate(values)]


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
        raise PromptError(f"{entry.place}: not JSON: {error}; {REMEDY}") from error
    for part in field.split("."):
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (LookupError, TypeError, ValueError) as error:
            has = f"; it has {printable(', '.join(value))}" if isinstance(value, dict) else ""
            raise PromptError(
                f"{entry.place}: has no field {field}{has}; correct `field`"
            ) from error
    if not isinstance(value, str):
        raise PromptError(f"{entry.place}: field {field} is no text; correct `field`")
    if fault := _fault(value):
        raise PromptError(f"{entry.place}: the prompt {fault}; {REMEDY}")
    return value


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
