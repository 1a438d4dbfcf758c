"""Mistakes in a campaign: collected, then reported all at once, one line each."""

import json
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import lru_cache

LONGEST_SHOWN = 60
"""Characters of a wrong value that a message repeats."""

MOST_SHOWN = 5
"""Messages about one key: an axis may have thousands of values."""

KeyPath = tuple[str | int, ...]
"""Keys and list indices from the top of the configuration."""


class CampaignError(ValueError):
    """A campaign that cannot be used.

    `messages` holds one line for each mistake: `FILE:LINE: key.path: what is wrong; remedy`.
    """

    def __init__(self, messages: Sequence[str]) -> None:
        self.messages = [printable(message) for message in messages]
        super().__init__("\n".join(self.messages))


class Problems(dict[KeyPath, dict[str, None]]):
    """Mistakes by the key that they stand at: what is wrong with it, and a remedy; each once."""

    def add(self, path: KeyPath, message: str) -> None:
        self.setdefault(path, {})[message] = None

    def below(self, section: str) -> bool:
        """Return whether a section of the file has a mistake, so that it counts as missing."""
        return any(path[0] == section for path in self)


def first_of(messages: Iterable[str]) -> list[str]:
    """Return the first messages about one key; how many more there are stands in the last."""
    every = list(messages)
    if (more := len(every) - MOST_SHOWN) > 0:
        every[MOST_SHOWN - 1 :] = [f"{every[MOST_SHOWN - 1]} (and {more} more like it)"]
    return every


def dotted(path: KeyPath) -> str:
    """("axes", "sampling.seed", 0) -> `axes.sampling.seed[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def nearest(word: object, known: Iterable[str]) -> str | None:
    """Return the known word most like `word`, if one is like it at all."""
    return _nearest(str(word), tuple(sorted(known)))


@lru_cache
def _nearest(word: str, known: tuple[str, ...]) -> str | None:
    return next(iter(get_close_matches(word, known, n=1)), None)


def unknown(kind: str, word: str, known: Iterable[str]) -> str:
    """`unknown KIND`, with the nearest known word, or all of them where none is near."""
    choices = sorted(known)
    if near := nearest(word, choices):
        return f"unknown {kind}; did you mean {near}?"
    return f"unknown {kind}; known: {listed(choices)}" if choices else f"unknown {kind}"


def shown(value: object) -> str:
    """A value of a file as YAML and JSON write it, cut where it is long."""
    try:
        text = json.dumps(value, default=str, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):  # no text as key, or too deep, or in itself
        text = f"{value:#x}" if isinstance(value, int) else str(value)  # or too many digits
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def printable(text: str) -> str:
    """One line that no terminal takes for a command: other characters as their escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def listed(words: Iterable[object]) -> str:
    return ", ".join(map(str, words))
