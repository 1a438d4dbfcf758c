"""Prompts as they stand in a file: what is read, what is chosen, what is refused."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy.make_campaigns import written

from llm_energy.campaign.prompt_entries import Entry, count_entries, read_entries
from llm_energy.campaign.prompt_source import select, text_of
from llm_energy.system.errors import PromptError

CONTENTS = st.lists(st.binary(min_size=1, max_size=8), min_size=1, max_size=30)


def entries(contents: list[bytes]) -> list[Entry]:
    return [Entry(f"file:{i + 1}", content) for i, content in enumerate(contents)]


def first_text(path: Path, field: str = "prompt") -> str:
    return text_of(read_entries(path)[0], field)


def test_each_line_is_an_entry_with_its_line_number(tmp_path: Path) -> None:
    path = written(tmp_path, '{"prompt": "a"}\r\n\n  \n{"prompt": "b"}\n')
    assert [entry.place for entry in read_entries(path)] == [f"{path}:1", f"{path}:4"]
    assert [text_of(entry, "prompt") for entry in read_entries(path)] == ["a", "b"]


def test_a_compressed_file_is_read_too(tmp_path: Path) -> None:
    path = written(tmp_path, gzip.compress(b'{"prompt": "a"}'), "mine.jsonl.gz")
    assert first_text(path) == "a"


def test_a_json_array_is_read_too(tmp_path: Path) -> None:
    path = written(tmp_path, json.dumps([{"prompt": "a"}, "b"], indent=1), "mine.json")
    assert [entry.place for entry in read_entries(path)] == [f"{path}[0]", f"{path}[1]"]
    assert first_text(path) == "a"


def test_a_mark_that_an_editor_put_first_is_no_mistake(tmp_path: Path) -> None:
    assert first_text(written(tmp_path, b'\xef\xbb\xbf{"prompt": "a"}')) == "a"


def test_a_field_may_lie_deeper(tmp_path: Path) -> None:
    path = written(tmp_path, '{"turns": ["first", {"text": "second"}]}')
    assert first_text(path, "turns.0") == "first"
    assert first_text(path, "turns.1.text") == "second"


def test_a_key_may_hold_dots(tmp_path: Path) -> None:
    content = {"a.b": {"c": "dotted"}, "a": {"b": {"d": "nested"}}, "e": {"f.g": "last"}}
    path = written(tmp_path, json.dumps(content))
    assert first_text(path, "a.b.c") == "dotted"
    assert first_text(path, "e.f.g") == "last"
    with pytest.raises(PromptError, match=r"no field a\.b\.d; its texts are at a\.b\.c"):
        first_text(path, "a.b.d")


def test_a_parquet_file_is_read_too(tmp_path: Path) -> None:
    days = pa.array([1, 2], pa.timestamp("ms"))
    table = pa.table({"prompt": ["a", None], "turns": [["x", "y"], []], "day": days})
    path = tmp_path / "mine.parquet"
    pq.write_table(table, path)
    assert [entry.place for entry in read_entries(path)] == [f"{path}[0]", f"{path}[1]"]
    assert first_text(path) == "a"
    assert first_text(path, "turns.1") == "y"
    assert count_entries(path) == 2
    with pytest.raises(PromptError, match=r"\[1\]: field prompt is no text"):
        text_of(read_entries(path)[1], "prompt")


def test_texts_that_a_parquet_file_has_as_bytes_are_read_and_other_bytes_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "mine.parquet"
    pq.write_table(pa.table({"prompt": ["ä".encode(), b"\xff"]}), path)
    text, other = read_entries(path)
    assert text_of(text, "prompt") == "ä"
    with pytest.raises(PromptError, match=r"\[1\]: field prompt is no text"):
        text_of(other, "prompt")


def test_a_damaged_parquet_file_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    pq.write_table(pa.table({"prompt": ["a"]}), path)
    with pytest.raises(PromptError, match="not a whole Parquet file") as caught:
        read_entries(written(tmp_path, path.read_bytes()[:-9], "mine.parquet"))
    assert str(caught.value).isprintable()
    with pytest.raises(PromptError, match="not a whole Parquet file"):
        count_entries(path)


def test_a_compressed_file_is_known_by_its_content(tmp_path: Path) -> None:
    assert first_text(written(tmp_path, gzip.compress(b'{"prompt": "a"}'))) == "a"


def test_lines_of_lists_are_no_array(tmp_path: Path) -> None:
    assert first_text(written(tmp_path, '["a", 1]\n["b", 2]\n'), "0") == "a"
    assert first_text(written(tmp_path, '["a", "b"]\n'), "1") == "b"


def test_tabs_and_line_ends_are_text(tmp_path: Path) -> None:
    assert first_text(written(tmp_path, r'{"prompt": "a\n\tb\r\n"}')) == "a\n\tb\r\n"


@given(CONTENTS, st.integers(0, 9), st.data())
def test_a_greater_limit_keeps_the_earlier_prompts(
    contents: list[bytes], seed: int, data: st.DataObject
) -> None:
    few = data.draw(st.integers(1, len(contents)))
    many = data.draw(st.integers(few, len(contents)))
    fewer = select(entries(contents), limit=few, seed=seed)
    assert select(entries(contents), limit=many, seed=seed)[:few] == fewer


@given(CONTENTS, st.integers(0, 9))
def test_every_prompt_is_chosen_once_without_a_limit(contents: list[bytes], seed: int) -> None:
    chosen = select(entries(contents), limit=None, seed=seed)
    assert sorted(chosen, key=lambda e: int(e.place[5:])) == entries(contents)


@given(CONTENTS, st.binary(min_size=9, max_size=9), st.integers(0, 9))
def test_a_new_line_changes_no_rank_of_the_others(
    contents: list[bytes], added: bytes, seed: int
) -> None:
    before = [e.content for e in select(entries(contents), limit=None, seed=seed)]
    after = [e.content for e in select(entries([added, *contents]), limit=None, seed=seed)]
    assert [content for content in after if content != added] == before


def test_another_seed_chooses_others() -> None:
    many = entries([str(i).encode() for i in range(100)])
    assert select(many, limit=10, seed=1) != select(many, limit=10, seed=2)


def test_only_what_is_chosen_is_looked_into(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"prompt": "good"}\n\xff\xff not even text\n')
    chosen = {text for e in select(read_entries(path), limit=1, seed=2) for text in [e.content]}
    assert chosen == {b'{"prompt": "good"}'}
