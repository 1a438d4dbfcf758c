"""Superseded results are kept, also where that was interrupted or the clock stands still."""

import shutil

import pytest
from tests.llm_energy.make_results import make_result, put_result

from llm_energy.results import superseded
from llm_energy.results.layout import side_path
from llm_energy.results.superseded import set_aside

RESULT = make_result("one")
PATH = f"measurements/{RESULT.spec_hash}/cycle-01.json"
RAW = side_path(PATH, "requests")


@pytest.fixture
def results(tmp_path):
    measure(tmp_path, b"first")
    return tmp_path


def measure(results, raw):
    put_result(results / PATH, RESULT)
    (results / RAW).parent.mkdir(parents=True, exist_ok=True)
    (results / RAW).write_bytes(raw)


def test_a_result_goes_after_its_raw_data(results, monkeypatch):
    """Else, after a kill in between, the next measurement would write its own over them."""
    moved = []
    monkeypatch.setattr(shutil, "move", lambda source, _: moved.append(source))
    set_aside(results, {PATH: []})
    assert moved[-1] == results / PATH
    assert moved[0] == results / RAW


def test_of_two_in_one_second_neither_replaces_the_other(results, monkeypatch):
    class Still(superseded.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 1, tzinfo=tz)

    monkeypatch.setattr(superseded, "datetime", Still)
    set_aside(results, {PATH: []})
    measure(results, b"second")
    set_aside(results, {PATH: []})
    kept = sorted((results / "superseded").glob(f"*/{RAW}"))
    assert [path.read_bytes() for path in kept] == [b"first", b"second"]
