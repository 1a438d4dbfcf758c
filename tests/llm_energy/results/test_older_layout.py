"""Results whose paths held the name of the experiment are found by what was measured."""

import errno
from pathlib import Path

import pytest
from tests.llm_energy.make_results import make_result, put_result, specification

from llm_energy.archive.verify import verify_results
from llm_energy.results import older_layout
from llm_energy.results.layout import place_of
from llm_energy.results.older_layout import doubles, forget, links
from llm_energy.results.result import read_planned_result
from llm_energy.system.files import sha256_of, write_atomically

RESULT = make_result("one")
SPEC = RESULT.spec_hash
PATH = f"measurements/{SPEC}/cycle-01.json"


def put(folder: Path, name: str, top: str = "measurements", **changes) -> Path:
    path = folder / f"{top}/{name}/{SPEC}/cycle-01.json"
    put_result(path, RESULT.model_copy(update={"experiment": name} | changes))
    return path


def test_a_result_gets_todays_place_and_keeps_the_older_one(tmp_path):
    old = put(tmp_path, "one")
    found = links(tmp_path, {})
    assert found == {PATH: f"measurements/one/{SPEC}/cycle-01.json"}
    older_layout.link(tmp_path, found)
    older_layout.link(tmp_path, found)
    assert (tmp_path / PATH).samefile(old)
    assert links(tmp_path, {}) == {}


def test_all_that_belongs_to_results_is_found_also_where_they_are_superseded(tmp_path):
    tops = ["anchors", "failures", "failures/anchors", "decisions"]
    for top in tops:
        write_atomically(tmp_path / top / "one" / SPEC / "x.json", b"{}")
    put(tmp_path / "superseded/t", "one")
    new = {f"{top}/{SPEC}/x.json" for top in tops} | {f"superseded/t/{PATH}"}
    found = links(tmp_path, {})
    assert found.keys() == new
    older_layout.link(tmp_path, found)
    assert links(tmp_path, {}) == {}


def test_of_two_results_that_of_todays_name_counts_else_that_of_the_larger_folder(tmp_path):
    put(tmp_path, "b")
    put(tmp_path, "a")
    write_atomically(tmp_path / f"measurements/b/{SPEC}/cycle-02.json", b"{}")
    assert links(tmp_path, {SPEC: "a"})[PATH] == f"measurements/a/{SPEC}/cycle-01.json"
    assert links(tmp_path, {})[PATH] == f"measurements/b/{SPEC}/cycle-01.json"


def test_what_is_in_its_place_is_not_replaced(tmp_path):
    put(tmp_path, "one")
    write_atomically(tmp_path / PATH, b"newer")
    assert links(tmp_path, {}) == {}
    older_layout.link(tmp_path, {PATH: f"measurements/one/{SPEC}/cycle-01.json"})
    assert (tmp_path / PATH).read_bytes() == b"newer"


def test_an_a_a_control_that_had_the_specification_of_its_base_is_its_replicate(tmp_path):
    put(tmp_path, "one")
    twin = put(tmp_path, "one.a_a")
    resolved = RESULT.settings.resolved
    replicate = f"measurements/{sha256_of(specification('one.a_a', resolved))[:12]}/cycle-01.json"
    found = links(tmp_path, {SPEC: "one"})
    assert found[PATH] == f"measurements/one/{SPEC}/cycle-01.json"
    assert found[replicate] == twin.relative_to(tmp_path).as_posix()
    older_layout.link(tmp_path, found)
    assert read_planned_result(tmp_path, replicate).experiment == "one.a_a"
    problems = verify_results(tmp_path).problems
    assert not [problem for problem in problems if "its path says" in problem]


def test_an_experiment_that_only_sounds_like_a_control_is_none(tmp_path):
    put(tmp_path, "one.a_a")
    assert links(tmp_path, {SPEC: "one.a_a"}).keys() == {PATH}


def test_a_base_cannot_pass_for_its_replicate(tmp_path):
    spec_hash = sha256_of(specification("one.a_a", RESULT.settings.resolved))[:12]
    path = f"measurements/{spec_hash}/cycle-01.json"
    put_result(tmp_path / path, RESULT)
    with pytest.raises(ValueError, match="its path says"):
        read_planned_result(tmp_path, path)


def test_without_hard_links_it_is_a_copy_of_the_same_age(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    old = put(tmp_path, "one")
    older_layout.link(tmp_path, links(tmp_path, {}))
    new = tmp_path / PATH
    assert (new.read_bytes(), new.stat().st_mtime) == (old.read_bytes(), old.stat().st_mtime)
    assert [path.name for path in new.parent.iterdir()] == ["cycle-01.json"]


def test_a_double_is_distinguished_from_a_result_that_lost_its_place(tmp_path):
    used, other = put(tmp_path, "one"), put(tmp_path, "two", attempt=2)
    assert list(doubles(tmp_path)) == []
    older_layout.link(tmp_path, links(tmp_path, {SPEC: "one"}))
    assert list(doubles(tmp_path)) == [used]
    forget(tmp_path, PATH)
    assert (used.exists(), other.exists(), (tmp_path / PATH).exists()) == (False, True, True)


def test_todays_places_are_no_older_ones(tmp_path):
    put_result(tmp_path / PATH, RESULT)
    write_atomically(tmp_path / f"failures/anchors/{SPEC}/cycle-01.attempt-1.json", b"{}")
    assert links(tmp_path, {}) == {}
    assert place_of(PATH).cycle == 1
