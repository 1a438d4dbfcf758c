"""Packing: the same bytes for the same input, and no secret in them."""

import json

import pytest

from llm_energy.archive.pack import ArchiveError, Member, known_secrets, pack, secret_in


def test_neither_order_nor_time_of_the_input_counts(tmp_path):
    (tmp_path / "a").write_text("content")
    one = pack(tmp_path / "1.tar.gz", "top", {"a": Member(tmp_path / "a"), "b": Member(b"b")})
    other = pack(tmp_path / "2.tar.gz", "top", {"b": Member(b"b"), "a": Member(b"content")})
    assert one == other
    assert (tmp_path / "1.tar.gz").read_bytes() == (tmp_path / "2.tar.gz").read_bytes()


def test_a_secret_stops_it_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "not-to-be-told-1234")
    with pytest.raises(ArchiveError, match=r"^b holds the value of SOME_API_KEY: ") as refused:
        pack(tmp_path / "a.tar.gz", "top", {"b": Member(b"x not-to-be-told-1234 y", public=True)})
    assert "not-to-be-told-1234" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "hf_" + "a" * 34,
        "ghp_" + "b" * 36,
        "AKIA" + "C" * 16,
        "https://user:pass1234@index.example.org/simple",
        "-----BEGIN RSA PRIVATE KEY-----\n" + "d" * 64,
    ],
)
def test_secrets_are_known_by_their_form(text):
    assert secret_in(f"before {text} after".encode(), {}) is not None
    assert secret_in(f"before {text} after".encode(), {}, forms=False) is None


def test_ordinary_content_is_none():
    text = "https://example.org/a@b, hf_token, TOKEN=short, sha256 " + 64 * "0"
    assert secret_in(text.encode(), {}) is None


def test_the_token_of_the_hub_is_known_where_it_is_kept(tmp_path):
    (tmp_path / "token").write_text("somebody-s-own-token\n")
    assert known_secrets({"HF_HOME": str(tmp_path)}) == {
        b"somebody-s-own-token": "your Hugging Face token"
    }
    (tmp_path / "token").write_text("none\n")  # a word of any text
    assert known_secrets({"HF_HOME": str(tmp_path)}) == {}


def test_the_value_of_a_variable_that_no_engine_gets_unasked_is_a_secret(tmp_path):
    environment = {"HF_HOME": str(tmp_path), "LICENSE_KEY": "a-licence-of-mine"}
    assert known_secrets(environment) == {b"a-licence-of-mine": "the value of LICENSE_KEY"}


@pytest.mark.parametrize(
    "value",
    [
        'of "mine"\\1234',
        "Lizenz für mich",
        "BEGIN\nmine, in lines\nEND",
        300 * "longer than a path",
    ],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_secret_is_found_in_the_log_of_a_record(tmp_path, value, ascii_only):
    known = known_secrets({"HF_HOME": str(tmp_path), "LICENSE_KEY": value})
    record = json.dumps({"log_tail": f"key: {value}".splitlines()}, ensure_ascii=ascii_only)
    assert secret_in(record.encode(), known) == "the value of LICENSE_KEY"
    assert secret_in(value.encode(), known) == "the value of LICENSE_KEY"


def test_a_path_and_a_short_word_are_no_secrets(tmp_path):
    file = tmp_path / "a-file-with-a-token"
    file.write_text("")
    environment = {
        "HF_HOME": str(tmp_path),
        "TOKEN_FILE": str(file),
        "TOKENIZERS_PARALLELISM": "no",
    }
    assert known_secrets(environment) == {}
