"""Recorded events become sentences, every kind that the code can write among them."""

import re
from pathlib import Path

import pytest

from llm_energy.analysis.side_records import SENTENCES, sentence

SCRIPTS = Path(__file__).parents[3] / "scripts"


def written_kinds():
    sources = [path.read_text() for path in SCRIPTS.rglob("*.py")]
    calls = [call for text in sources for call in re.findall(r"\.add_event\(\s*([^,)]*)", text)]
    assert all(re.fullmatch(r'"\w+"', call) for call in calls), "a kind that cannot be read here"
    return {call.strip('"') for call in calls}


def test_every_kind_that_is_written_has_words_and_no_other():
    assert set(SENTENCES) == written_kinds()


@pytest.mark.parametrize("kind", SENTENCES)
def test_a_sentence_is_one_and_keeps_what_was_recorded(kind):
    words = sentence({"time": "t", "kind": kind, "backend": "vllm", "reason": "backend_silent"})
    assert words[0].isupper()
    assert words.endswith(".")
    assert "_" not in words
    assert "{" not in words
    assert ("vllm" in words) == ("{backend}" in SENTENCES[kind])


def test_a_reason_that_is_a_sentence_ends_once():
    event = {"kind": "backend_restarted", "backend": "vllm", "reason": "no answer in 30 s."}
    assert sentence(event) == "Backend vllm was restarted: no answer in 30 s."


def test_what_a_record_lacks_is_stated_to_be_lacking():
    assert "not recorded" in sentence({"kind": "backend_lost", "backend": "vllm"})


def test_a_kind_without_words_is_reported_by_its_facts():
    event = {"time": "t", "kind": "unheard_of", "reason": "none", "backend": "vllm"}
    assert sentence(event) == "backend vllm, reason none"
