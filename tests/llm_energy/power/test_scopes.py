"""Which scopes hold which, and what may therefore be added up."""

from pathlib import Path
from typing import get_args

import pytest

from llm_energy.power import scopes
from llm_energy.power.meter import Scope
from llm_energy.power.sensor_limits import LIMITS, POWER_BOUNDS_WATTS

ALL = get_args(Scope)
DOCUMENT = Path(__file__).parents[3] / "docs" / "energy.md"


def test_every_scope_is_described_and_has_limits():
    assert set(scopes.MEANINGS) == set(scopes.HOLDS) == set(ALL)
    assert set(LIMITS) == set(POWER_BOUNDS_WATTS) == set(ALL) - {"wall"}


def test_the_wall_holds_all():
    assert scopes.held("wall") == set(ALL) - {"wall"}


def test_no_scope_holds_itself():
    for scope in ALL:
        assert scope not in scopes.held(scope) | scopes.may_be_held(scope)


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ("module", "gpu_board"),
        ("module", "cpu_socket"),
        ("module", "dram"),
        ("platform", "cpu_package"),
        ("platform", "gpu_board"),
        ("board", "gpu_chip"),
        ("battery", "platform"),
        ("chassis", "module"),
        ("gpu_board", "gpu_chip"),
        ("cpu_socket", "cpu_package"),
    ],
)
def test_what_holds_a_part_of_another_is_never_added_to_it(outer, inner):
    assert scopes.overlap(outer, inner)
    assert scopes.overlap(inner, outer)
    assert not scopes.addable([inner, outer])


def test_boards_packages_and_memory_are_added_up():
    assert scopes.addable(["gpu_board", "gpu_board", "cpu_package", "cpu_package", "dram", "dram"])
    assert scopes.addable(["module", "module"])
    assert scopes.addable(["gpu_board", "cpu_socket", "cpu_socket"])


@pytest.mark.parametrize("scope", ["rail", "board", "platform", "battery", "chassis", "wall"])
def test_two_of_a_kind_that_may_share_parts_are_not(scope):
    assert scopes.addable([scope])
    assert not scopes.addable([scope, scope])


def test_a_rail_may_be_a_part_of_anything():
    assert all(scopes.overlap("rail", scope) for scope in ALL)


def test_the_document_has_the_table():
    assert scopes.table() in DOCUMENT.read_text()
