"""SIGKILL at any moment, of any of its processes: the same command goes on as if nothing were."""

from pathlib import Path

import pytest

from tests.integration.faults import VICTIMS, prepared, trials

pytestmark = pytest.mark.integration

SEEDS = [int(line) for line in Path(__file__).with_name("fault_seeds.txt").read_text().split()]
"""`benchmarks/faults.py` tries many others."""


def test_whatever_is_killed_nothing_lives_on_and_nothing_is_lost(tmp_path):
    outcomes = list(trials(prepared(tmp_path / "template"), tmp_path, SEEDS))
    assert {fault.victim for _, fault, outcome in outcomes if outcome.hit} == {*VICTIMS}
    for seed, fault, outcome in outcomes:
        assert outcome.survivors == [], f"seed {seed}: {fault}"
        assert outcome.losses == [], f"seed {seed}: {fault}"
