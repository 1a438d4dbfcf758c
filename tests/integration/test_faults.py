"""SIGKILL at any moment, of any of its processes: the same command goes on as if nothing were."""

from pathlib import Path

import pytest

from tests.integration.faults import VICTIMS, Fault, faulted_campaign, trials

pytestmark = pytest.mark.integration

SEEDS = [int(line) for line in Path(__file__).with_name("fault_seeds.txt").read_text().split()]
"""`benchmarks/faults.py` tries many others."""

FEW = [17, 4]
"""An engine and a measuring job: the other victims are killed in tests of their own too."""


def test_the_seeds_choose_every_victim():
    assert {Fault.of(seed).victim for seed in SEEDS} == {*VICTIMS}
    assert {*FEW} < {*SEEDS}


@pytest.mark.parametrize(
    "seeds", [FEW, pytest.param(SEEDS, marks=pytest.mark.long)], ids=["few", "all"]
)
def test_whatever_is_killed_nothing_lives_on_and_nothing_is_lost(ready_template, tmp_path, seeds):
    template = ready_template.copy(tmp_path / "template", faulted_campaign())
    outcomes = list(trials(template, tmp_path, seeds))
    victims = {Fault.of(seed).victim for seed in seeds}
    assert {fault.victim for _, fault, outcome in outcomes if outcome.hit} == victims
    for seed, fault, outcome in outcomes:
        assert outcome.survivors == [], f"seed {seed}: {fault}"
        assert outcome.losses == [], f"seed {seed}: {fault}"
