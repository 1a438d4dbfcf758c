"""Whether what was made again is what was shipped: by bytes, or else by its text and numbers."""

import re
from itertools import zip_longest
from pathlib import Path

import pandas as pd

RELATIVE = 1e-9
"""Numbers that two builds of the same arithmetic give agree far better; anything else does not."""

NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
EMBEDDED = re.compile(r"data:[a-z]+/[a-z+]+;base64,[A-Za-z0-9+/=]+")
"""Files inside a page: the figures, which are compared as files."""

TEXTS = (".csv", ".json", ".txt", ".svg", ".html", ".tsv")


def difference(shipped: Path, made: Path) -> str | None:
    """None where the bytes are equal; else how the files compare, beginning with `same` or not."""
    one, other = shipped.read_bytes(), made.read_bytes()
    if one == other:
        return None
    if shipped.suffix in (".png", ".pdf"):
        return "same drawing as its SVG, other bytes"
    if shipped.suffix == ".parquet":
        one, other = (pd.read_parquet(path).to_csv().encode() for path in (shipped, made))
    elif shipped.suffix not in TEXTS:
        return "other bytes"
    found = _first_difference(one.decode(), other.decode())
    return "same numbers, other bytes" if found is None else found


def _first_difference(one: str, other: str) -> str | None:
    """Where two texts differ by more than the last digits of a number."""
    texts = [EMBEDDED.sub("", text) for text in (one, other)]
    words = [NUMBER.split(text) for text in texts]
    numbers = [NUMBER.findall(text) for text in texts]
    for left, right in zip_longest(*words, fillvalue=""):
        if left != right:
            return f"`{_cut(left)}` became `{_cut(right)}`"
    for left, right in zip(*numbers, strict=True):
        if not _equal(left, right):
            return f"{left} became {right}"
    return None


def _cut(text: str) -> str:
    return " ".join(text.split())[:60]


def _equal(one: str, other: str) -> bool:
    """Within `RELATIVE`, or one unit of the last printed decimal; whole numbers exactly."""
    if one == other:
        return True
    last = min(len(text.partition(".")[2]) for text in (one, other))
    if last == 0:
        return False
    near = 0.0 if "e" in f"{one}{other}".lower() else 1.01 * 10.0**-last
    left, right = float(one), float(other)
    return abs(left - right) <= max(near, RELATIVE * max(abs(left), abs(right)))
