"""Files that hold no prompts, and entries that are none: each is refused in one line."""

import gzip
import json
import re
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy.make_campaigns import written

from llm_energy.campaign.prompt_entries import read_entries
from llm_energy.campaign.prompt_source import select, text_of
from llm_energy.system.errors import PromptError

OTHER_KINDS = {
    "UTF-16": ('{"prompt": "a"}'.encode("utf-16"), "is UTF-16 text; save it as UTF-8; prompt"),
    "UTF-32": ('{"prompt": "a"}'.encode("utf-32"), "is UTF-32 text; save it as UTF-8; prompt"),
    "zip": (b"PK\x03\x04...", "is a zip archive; prompt files are"),
    "zstd": (b"\x28\xb5\x2f\xfd...", "is compressed with zstd; prompt files are"),
    "an array": (b'[{"prompt": "a"}]', "is one JSON array; name it .json; prompt files are"),
    "an array over lines": (b'[\n"a",\n"b"\n]', "is one JSON array; name it .json"),
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_a_file_of_another_kind_is_refused_with_what_it_is(tmp_path: Path, kind: str) -> None:
    content, words = OTHER_KINDS[kind]
    with pytest.raises(PromptError, match=re.escape(words)):
        read_entries(written(tmp_path, content))


def test_more_prompts_than_there_are_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, '{"prompt": "a"}\n')
    with pytest.raises(PromptError) as caught:
        select(read_entries(path), limit=2, seed=0)
    assert str(caught.value) == f"{path}: has 1 prompts, `limit` asks for 2; lower `limit`"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"x\.jsonl: No such file or directory; correct `file`"):
        read_entries(tmp_path / "x.jsonl")


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_a_file_without_prompts_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(PromptError, match=r"mine\.jsonl: has no prompts"):
        read_entries(written(tmp_path, content))


@pytest.mark.parametrize("content", [b"not gzip", gzip.compress(b"{}" * 99, mtime=0)[:-9]])
def test_a_damaged_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(PromptError, match=r"mine\.jsonl\.gz: not a whole gzip file"):
        read_entries(written(tmp_path, content, "mine.jsonl.gz"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"data": [], "version": 1}', "is a JSON object with the keys data, version, not a JSON"),
        ("7", "is a single JSON value, not a JSON array"),
        ("[", "not JSON in UTF-8 "),
        ('{"prompt": "a"}\n{"prompt": "b"}', "name a file with lines of JSON .jsonl; prompt files"),
    ],
)
def test_a_json_file_of_another_kind_is_refused(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(PromptError, match=words):
        read_entries(written(tmp_path, content, "mine.json"))


REFUSED = {
    "bytes that are no UTF-8": (b'{"prompt": "\xe9t\xe9"}', "not UTF-8 (byte 0xe9 at column 13)"),
    "a line that is no JSON": (b'{"prompt": "a"', "not JSON (Expecting"),
    "JSON that is nested too deep": (b"[" * 200_000, "not JSON (maximum recursion depth"),
    "a field that a terminal would obey": (b'{"\\u001b[31m": "a"}', "are at \\x1b[31m"),
    "a line without the field": (
        b'{"text": "a", "id": 1}',
        "no field prompt; its texts are at text; correct `field`",
    ),
    "a line that is a list": (b'["a"]', "has no field prompt; its texts are at 0"),
    "a line that is a text": (b'"a"', 'the entry is "a", and must have keys, as {"prompt": "..."}'),
    "a line without any text": (b'{"id": 1}', 'the entry has no text at all: {"id": 1}'),
    "a conversation of ShareGPT": (
        b'{"conversations": [{"from": "human", "value": "Why?"}]}',
        "its texts are at conversations.0.from, conversations.0.value; correct `field`",
    ),
    "a line of another kind of file": (
        b"Why is the sky blue?,42",
        '"Why is the sky blue?,42"; correct it, or leave it out with another `seed` or `limit`; '
        "prompt files are lines of JSON (.jsonl), one JSON array (.json), either of them as .gz, "
        "or Parquet",
    ),
    "an entry that is nested deep": (
        b'{"a": ' * 900 + b"1" + b"}" * 900,
        "the entry has no text at all: ",
    ),
    "a number": (b'{"prompt": 7}', "field prompt is no text"),
    "an empty prompt": (b'{"prompt": ""}', "the prompt is empty"),
    "a blank prompt": (b'{"prompt": " \\n\\t"}', "the prompt is empty"),
    "a NUL": (b'{"prompt": "ab\\u0000c"}', "control character U+0000 at position 3"),
    "a terminal escape": (b'{"prompt": "\\u001b[31m"}', "control character U+001B at position 1"),
    "half a surrogate pair": (b'{"prompt": "a\\ud83d"}', "control character U+D83D at position 2"),
    "more than a million characters": (
        b'{"prompt": "' + b"a" * 1_000_001 + b'"}',
        "has 1000001 characters, at most 1000000 are taken",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_prompt_is_refused_in_one_line_with_file_and_line(
    tmp_path: Path, case: str
) -> None:
    content, words = REFUSED[case]
    path = written(tmp_path, b'{"prompt": "good"}\n' + content)
    with pytest.raises(PromptError) as caught:
        text_of(read_entries(path)[1], "prompt")
    message = str(caught.value)
    assert message.startswith(f"{path}:2: ")
    assert words in message
    assert "\n" not in message
    assert ";" in message, "a remedy follows"


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.just("prompt") | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
FILES = (
    st.binary(max_size=50)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.lists(JSON, max_size=3).map(lambda v: b"\n".join(json.dumps(x).encode() for x in v))
)
NAMES = ["mine.parquet", "mine.jsonl", "mine.json", "mine.json.gz", "mine.jsonl.gz"]


@given(
    FILES,
    st.booleans(),
    st.sampled_from(NAMES),
    st.sampled_from(["prompt", "prompt.0", "0", ".", "a..b"]),
)
def test_any_file_is_prompts_or_refused_in_one_line(
    tmp_path: Path, content: bytes, compressed: bool, name: str, field: str
) -> None:
    path = written(tmp_path, gzip.compress(content) if compressed else content, name)
    try:
        texts = [text_of(entry, field) for entry in read_entries(path)]
    except PromptError as error:
        assert str(error).isprintable()  # noqa: PT017 - either is fine
    else:
        assert all(text.strip() for text in texts)


@given(st.binary(min_size=1, max_size=3), st.integers(0, 60))
def test_any_damage_to_an_archive_is_refused_or_harmless(damage: bytes, where: int) -> None:
    content = gzip.compress(b'{"prompt": "Why is the sky blue?"}')
    broken = content[:where] + damage + content[where + len(damage) :]
    with TemporaryDirectory() as folder, suppress(PromptError):
        read_entries(written(Path(folder), broken, "mine.jsonl.gz"))
