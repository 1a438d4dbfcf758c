"""Which measurements share an engine process is a factor of the campaign, and is recorded."""

import copy

import pytest

from llm_energy.results.result import read_result
from tests.integration.workflow import CAMPAIGN, Tree

pytestmark = pytest.mark.integration


def campaign(isolation):
    """Two experiments that one engine process can serve, in two cycles."""
    changed = copy.deepcopy(CAMPAIGN) | {"isolation": isolation}
    changed["experiments"] = {"nap": {"axes": {"output_tokens": [4, 6]}}}
    return changed


def reused(tree: Tree) -> list[bool]:
    """Return for each measurement, in order, if the engine process was reused."""
    results = sorted(map(read_result, tree.results()), key=lambda result: result.position)
    assert all(result.process is not None for result in results)
    return [result.process.engine_reused for result in results if result.process]


@pytest.mark.parametrize(
    ("isolation", "expected"),
    [
        ("measurement", [False, False, False, False]),
        ("cycle", [False, True, False, True]),
        ("campaign", [False, True, True, True]),
    ],
)
def test_engine_processes_are_shared_as_far_as_the_campaign_says(ready, isolation, expected):
    ready.write_campaign(campaign(isolation))
    ready.measured()
    assert reused(ready) == expected


def test_at_most_one_backend_holds_an_engine(ready):
    """Backends alternate between cycles and each finds its engine unloaded by the other."""
    two = campaign("campaign") | {
        "backends": {"sleep": {}, "doze": {}},
        "experiments": {"nap": {"axes": {"backend": ["sleep", "doze"]}}},
        "order": "sequential",
    }
    ready.add_backend("doze")
    ready.write_campaign(two)
    ready.measured()
    assert reused(ready) == [False, False, False, False]


def test_constant_concurrency_is_counted_by_time_stamps(ready):
    closed = copy.deepcopy(CAMPAIGN)
    closed["defaults"]["load_mode"] = "closed"
    ready.write_campaign(closed)
    ready.measured()
    for path in ready.results():
        result = read_result(path)
        assert result.load_mode == "closed"
        assert result.window is not None
        assert (result.window.waves, result.window.passes) == (None, None)
        assert result.tokens is not None
        assert result.tokens.output > 0
        assert result.output_tokens_per_second == pytest.approx(
            result.tokens.output / result.window.duration_s
        )
