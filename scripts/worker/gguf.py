"""GGUF files: the metadata at their head, and the names of those of a model in several parts.

The layout is that of the GGUF specification, versions 2 and 3, little endian: magic, version,
number of tensors, number of pairs; each pair a length-prefixed key, a type, and a value.
"""

import mmap
import re
import struct
from pathlib import Path
from typing import Any

_CODES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Codes of `struct` for the types of numbers."""

_STRING, _ARRAY = 8, 9


PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
"""End of the name of one part of a model: its number, from 1, and how many there are."""


def part_names(name: str) -> list[str]:
    """Return the names of all parts of the model that a file belongs to: its own, if it is whole.

    The first part has the metadata, and is the one to load.
    """
    found = PART.search(name)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        return [name]
    stem, count = name[: found.start()], found[2]
    return [f"{stem}-{number:05d}-of-{count}.gguf" for number in range(1, int(count) + 1)]


class GgufError(Exception):
    """No GGUF file, or one that ends too early."""


def read_metadata(path: str | Path, *, longest_array: int = 4096) -> dict[str, Any]:
    """Every pair of a file; arrays longer than `longest_array`, such as vocabularies, as None."""
    with Path(path).open("rb") as file:
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _Reader(content, longest_array).pairs()
        except (struct.error, ValueError, IndexError, RecursionError) as error:
            raise GgufError(f"{path}: damaged or cut short ({error})") from error


class _Reader:
    def __init__(self, content: mmap.mmap, longest_array: int) -> None:
        self._content, self._at, self._longest = content, 0, longest_array

    def pairs(self) -> dict[str, Any]:
        if self._content[:4] != b"GGUF":
            raise ValueError("no GGUF file")
        self._at = 4
        version = self._scalar("I")
        if version not in (2, 3):
            raise ValueError(f"GGUF version {version}")
        _tensors, count = self._scalar("Q"), self._scalar("Q")
        return {self._text(): self._value(self._scalar("I")) for _ in range(count)}

    def _scalar(self, code: str) -> Any:
        (value,) = struct.unpack_from(f"<{code}", self._content, self._at)
        self._at += struct.calcsize(code)
        return value

    def _text(self) -> str:
        length = self._scalar("Q")
        start, self._at = self._at, self._at + length
        if self._at > len(self._content):
            raise ValueError("a text is longer than the file")
        return self._content[start : self._at].decode(errors="replace")

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._text()
        if kind == _ARRAY:
            inner, count = self._scalar("I"), self._scalar("Q")
            values = [self._value(inner) for _ in range(count)]
            return values if count <= self._longest else None
        if kind not in _CODES:
            raise ValueError(f"value of the unknown type {kind}")
        return self._scalar(_CODES[kind])
