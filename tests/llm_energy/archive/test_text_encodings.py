"""A secret is found in every encoding, whatever stands around it."""

import csv
import html
import io
import json
import math
import os
import re
from functools import partial
from pathlib import Path
from urllib.parse import quote, quote_plus

import yaml
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from llm_energy.archive.pack import SHORTEST, known_secrets, secret_in


def text_of_csv(text):
    csv.writer(file := io.StringIO()).writerow(["a", text])
    return file.getvalue()


def quoted(text, **options):
    return quote(os.fsencode(text), **options)


def with_lower_digits(text):
    return re.sub("%..", lambda digits: digits[0].lower(), quoted(text, safe=""))


PRINTED = {
    "as it is": str,
    "a literal": repr,
    "an ASCII literal": ascii,
    "bytes": lambda text: repr(os.fsencode(text)),
    "a list of variables": lambda text: repr([("A", text), ("B", 'it\'s "b"')]),
    "JSON": json.dumps,
    "JSON of Unicode": partial(json.dumps, ensure_ascii=False),
    "part of an address": partial(quoted, safe=""),
    "a path": quoted,
    "a form": lambda text: quote_plus(os.fsencode(text)),
    "lower-case digits": with_lower_digits,
    "a browser's": partial(quoted, safe="!'()*"),
}
HELD = {
    "as it is": str,
    "JSON": lambda text: json.dumps({"log_tail": [text]}),
    "JSON of Unicode": lambda text: json.dumps({"log_tail": [text]}, ensure_ascii=False),
    "YAML": lambda text: yaml.safe_dump({"a": text}, allow_unicode=True, width=math.inf),
    "CSV": text_of_csv,
    "HTML": html.escape,
    "HTML of a template": lambda text: str(escape(text)),
    "HTML outside of attributes": partial(html.escape, quote=False),
}
SYMBOLS = (
    "\\'\"<>&%+/ ~\t\x1b\N{EURO SIGN}\N{SMILING FACE WITH SUNGLASSES}e\N{COMBINING ACUTE ACCENT}"
)
CHARACTERS = st.sampled_from(SYMBOLS) | st.characters(exclude_categories=["Cs"])
AROUND = st.text(st.sampled_from("a1'\"\\<& "), max_size=4)


def is_secret_line(text):
    one_line = text == text.strip() and len(text.splitlines()) == 1 and "\0" not in text
    return one_line and len(text) >= SHORTEST and not Path(text).exists()


SECRETS = st.text(CHARACTERS, min_size=SHORTEST, max_size=40).filter(is_secret_line)
BYTES = st.binary(min_size=SHORTEST, max_size=40).map(
    lambda content: os.fsdecode(b"\xff" + content)
)


@given(secret=SECRETS, before=AROUND, after=AROUND)
def test_a_secret_is_found_as_it_is_printed_and_held(secret, before, after):
    known = known_secrets({"HF_HOME": "/nowhere", "LICENSE_KEY": secret})
    text = f"{before}{secret}{after}"
    contents = {
        (how, where): hold(print_(text)).encode()
        for how, print_ in PRINTED.items()
        for where, hold in HELD.items()
    }
    assert [key for key, content in contents.items() if not secret_in(content, known)] == []


@given(secret=BYTES.filter(is_secret_line))
def test_a_secret_that_is_no_text_is_found_as_it_is_printed(secret):
    known = known_secrets({"HF_HOME": "/nowhere", "LICENSE_KEY": secret})
    contents = {how: os.fsencode(print_(secret)) for how, print_ in PRINTED.items()}
    assert [key for key, content in contents.items() if not secret_in(content, known)] == []


@given(secret=SECRETS)
def test_the_token_of_the_hub_is_found_in_every_encoding(tmp_path_factory, secret):
    home = tmp_path_factory.mktemp("home")
    (home / "token").write_text(secret + "\n")
    known = known_secrets({"HF_HOME": str(home)})
    content = json.dumps({"log_tail": [repr({"token": secret})]})
    assert secret_in(content.encode(), known) == "your Hugging Face token"


def test_a_plain_secret_has_one_encoding():
    assert known_secrets({"HF_HOME": "/nowhere", "SOME_KEY": "plain-secret_1.2"}) == {
        b"plain-secret_1.2": "the value of SOME_KEY"
    }
