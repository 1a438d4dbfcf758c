"""Encodings in which programs print a text, and in which files hold what was printed."""

import html
import json
import math
import os
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import yaml
from markupsafe import escape


def encodings(text: str) -> set[bytes]:
    """Return a line of text as programs print it, and each of these as a file holds it.

    Every encoding takes each character by itself, so that the text is found inside a longer one.
    """
    printed = {text, *_in_python(text), *_in_json(text), *_in_address(text)}
    held = {form for each in printed for form in _in_file(each)}
    return {os.fsencode(form) for form in printed | held}


def _in_python(text: str) -> Iterator[str]:
    """Yield the literals of a text and of its bytes. Their quotes depend on the whole literal: with
    a double quote in it, `repr` takes single ones, and escapes those of the text."""
    literals = repr(f'"{text}')[2:-1], ascii(f'"{text}')[2:-1], repr(b'"' + os.fsencode(text))[3:-1]
    for escaped in literals:
        yield escaped
        yield escaped.replace(r"\'", "'")


def _in_json(text: str) -> Iterator[str]:
    return (json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))


def _in_address(text: str) -> Iterator[str]:
    """Yield the forms of an address: whole, in a path, of a form, and as a browser makes it."""
    content = os.fsencode(text)
    forms = quote(content, safe=""), quote(content), quote_plus(content), quote(content, "!'()*")
    for form in forms:
        yield form
        yield re.sub("%..", lambda digits: digits[0].lower(), form)


def _in_file(text: str) -> Iterator[str]:
    yield from _in_json(text)
    outside = html.escape(text, quote=False)  # HTML and XML, outside of attributes
    attribute = outside.replace('"', "&quot;")
    yield from (outside, attribute, attribute.replace("'", "&apos;"))
    yield from (html.escape(text), str(escape(text)))
    yield text.replace('"', '""')  # CSV
    yield text.replace("'", "''")  # YAML, where single quotes are enough
    yield yaml.safe_dump(text, default_style='"', allow_unicode=True, width=math.inf)[1:-2]
