"""Which results need no job."""

import os
import time

import pytest

from llm_energy.workflow.settled import settled


@pytest.fixture
def campaign(tmp_path):
    """Two results, the second younger than the first, and the path of a third that is not there."""
    paths = [tmp_path / f"measurements/e/s/cycle-0{number}.json" for number in (1, 2, 3)]
    paths[0].parent.mkdir(parents=True)
    for age, path in zip((300.0, 100.0), paths[:2], strict=True):
        made(path, age)
    return tmp_path, [str(path) for path in paths]


def made(path, age_s):
    path.parent.mkdir(exist_ok=True)
    path.touch()
    os.utime(path, (1e9 - age_s, 1e9 - age_s))


def test_before_there_is_a_summary_all_that_is_there_is_settled(campaign):
    folder, paths = campaign
    assert settled(folder, paths) == set(paths[:2])


def test_one_that_is_newer_than_the_clock_is_not(campaign):
    folder, paths = campaign
    os.utime(paths[1], (time.time() + 3600,) * 2)
    assert settled(folder, paths) == {paths[0]}


def test_a_result_younger_than_a_file_of_the_summary_is_not_settled(campaign):
    folder, paths = campaign
    made(folder / "summary/measurements.csv", 200.0)
    made(folder / "summary/summary.json", 0.0)
    assert settled(folder, paths) == {paths[0]}


def test_equal_ages_are_settled_as_in_an_unpacked_archive(campaign):
    folder, paths = campaign
    made(folder / "summary/summary.json", 100.0)
    assert settled(folder, paths) == set(paths[:2])
