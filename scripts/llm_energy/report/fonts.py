"""Fonts that PDFs embed: matplotlib reads the whole file for each, and fontTools all its tables."""

import copy
import logging
from functools import cache
from typing import Any

from fontTools import subset
from fontTools.ttLib import TTFont

SHAPING = ("GDEF", "GPOS", "GSUB", "MATH", "kern")
"""Tables for shaping texts, which a PDF has no use for: it says where each glyph stands."""

load_font = subset.load_font
"""As it is in fontTools."""


def embed_quickly() -> None:
    """Let fontTools load a font of a PDF without tables for shaping, and read others once."""
    subset.load_font = _loaded
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it logs every table of a font


def _loaded(file: Any, options: subset.Options, **others: Any) -> TTFont:
    font = load_font(file, options, **others)
    for name in SHAPING:
        if name in font:
            del font[name]
    first = _first(str(file), options.font_number)
    font.setGlyphOrder(list(first.getGlyphOrder()))
    for name in ("cmap", "post", "hmtx"):  # slow to read; a subset of them is made in place
        font[name] = _copied(first[name])
    return font


@cache
def _first(file: str, number: int) -> TTFont:
    """The font as it was read first, with what is read slowly."""
    font = TTFont(file, fontNumber=number, lazy=True)
    for table in font["cmap"].tables:
        table.ensureDecompiled()
    return font


def _copied(table: Any) -> Any:
    """A copy of a table whose lists and mappings are its own."""
    copied = copy.copy(table)
    for name, value in vars(table).items():
        if isinstance(value, dict | list):
            setattr(copied, name, copy.copy(value))
    if hasattr(copied, "tables"):
        copied.tables = [_copied(one) for one in table.tables]
    return copied
