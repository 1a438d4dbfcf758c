"""Metrics of a server in Prometheus' text format 0.0.4, as far as they are its configuration."""

import math
import re
from collections.abc import Iterator
from typing import Any

PLACE = re.compile(r"(?P<metric>[a-zA-Z_:][\w:]*)\{(?P<label>\w*)\}", re.ASCII)
"""`METRIC{LABEL}` for the value of a label, `METRIC{}` for that of the metric."""

LABEL = re.compile(r'[ \t]*([a-zA-Z_]\w*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*(?:,|$)', re.ASCII)
SAMPLE = re.compile(
    r"[ \t]*(?P<metric>[a-zA-Z_:][a-zA-Z0-9_:]*)(?=[{ \t])[ \t]*"
    r'(?:\{(?P<labels>(?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?'
    r"[ \t]*(?P<value>[^\s{]+)(?:[ \t]+-?[0-9]+)?[ \t]*"
)
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
ESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
WORDS = {"None": None, "True": True, "False": False}
"""Python's words, which vLLM's labels hold."""


def metric_at(text: str, metric: str, label: str) -> Any:
    """Return the value of a label, or of the metric where `label` is empty.

    None where there is none; all values, in their order, where the samples of the metric differ.
    """
    found = [
        labels.get(label) if label else value
        for name, labels, value in samples(text)
        if name == metric
    ]
    values = list(dict.fromkeys(value_of(word) for word in found if word is not None))
    return values if len(values) > 1 else next(iter(values), None)


def samples(text: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """Give metric, labels and value of each sample; lines that are none are left out."""
    for line in text.split("\n"):
        if match := SAMPLE.fullmatch(line.removesuffix("\r")):
            pairs = LABEL.findall(match["labels"] or "")
            yield match["metric"], {name: unescaped(value) for name, value in pairs}, match["value"]


def unescaped(value: str) -> str:
    return re.sub(r"\\.", lambda pair: ESCAPED.get(pair[0], pair[0]), value)


def value_of(word: str) -> str | int | float | bool | None:
    """Return a number as a number, and None for one that JSON cannot hold."""
    if word in WORDS:
        return WORDS[word]
    if not NUMBER.fullmatch(word):
        return None if word.lstrip("+-").lower() in ("nan", "inf") else word
    number = float(word)
    if not math.isfinite(number):
        return None
    return int(word) if word.lstrip("+-").isdecimal() else number
