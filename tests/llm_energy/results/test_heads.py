"""The first keys of a result are found without the rest of it, and a broken file is no result."""

import json

import pytest

from llm_energy.results.heads import HEAD_BYTES, KEYS, read_head

HEAD = {
    "schema_version": 2,
    "status": "completed",
    "experiment": "nap",
    "cycle": 3,
    "started": "2026-01-01T00:00:00Z",
    "finished": "2026-01-01T00:00:20Z",
    "attempt": 1,
    "spec_hash": "0123456789ab",
}
REST = {"spec": {"model": "é" * HEAD_BYTES}, "phases": [{"name": "window"}] * 1000}


def known(content):
    return {key: content[key] for key in KEYS}


@pytest.mark.parametrize("shift", range(4))
def test_the_first_keys_are_read_wherever_the_head_ends(tmp_path, shift):
    """Also inside a letter of several bytes."""
    path = tmp_path / "cycle-03.json"
    content = HEAD | {"experiment": "n" * shift} | REST
    path.write_text(json.dumps(content, ensure_ascii=False))
    assert known(read_head(path)) == known(content)


def test_what_follows_the_head_is_not_looked_at(tmp_path):
    path = tmp_path / "cycle-03.json"
    text = json.dumps(HEAD | REST)
    path.write_text(text.replace('"phases"', "phases"))
    assert known(read_head(path)) == known(HEAD)


def test_a_file_that_breaks_off_is_no_result(tmp_path):
    path = tmp_path / "cycle-03.json"
    path.write_text(json.dumps(HEAD | REST)[:-1])
    with pytest.raises(ValueError, match="EOF"):
        read_head(path)


@pytest.mark.parametrize("length", range(HEAD_BYTES - 12, HEAD_BYTES + 4))
def test_a_number_that_the_head_cuts_is_read_whole(tmp_path, length):
    path = tmp_path / "cycle-03.json"
    before = {key: value for key, value in HEAD.items() if key != "cycle"}
    padding = "x" * (length - len(json.dumps(before | {"padding": ""})))
    content = before | {"padding": padding, "cycle": 12345, "phases": []}
    path.write_text(json.dumps(content))
    assert read_head(path)["cycle"] == 12345


def test_keys_in_another_order_are_found_too(tmp_path):
    path = tmp_path / "cycle-03.json"
    path.write_text(json.dumps(REST | HEAD))
    assert known(read_head(path)) == known(HEAD)
