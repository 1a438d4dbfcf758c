"""A search for the highest good rate in a campaign: its grid, its names, its refusals."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy.make_campaigns import BASE, load, make_checkout, mistakes

from llm_energy.campaign.campaign_file import Group, RateGrid
from llm_energy.campaign.expand import searched_axis
from llm_energy.campaign.experiment import Experiment
from llm_energy.campaign.rate_search import rate_searches

SEARCH = {"highest_good": {"from": 2, "to": 16, "tolerance": 0.5}}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_checkout(tmp_path)


@pytest.fixture(scope="module")
def three_groups(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Mapping[str, Group], Sequence[Experiment]]:
    """Two groups that search, one that does not, and their experiments."""
    axes = {
        "x": {"batch_size": [1, 8], "request_rate": SEARCH},
        "y": {"request_rate": [2.5, 4]},
        "z": {"batch_size": [2, 4, 16], "request_rate": SEARCH},
    }
    groups = {name: {"axes": own} for name, own in axes.items()}
    root = make_checkout(tmp_path_factory.mktemp("groups"))
    experiments = load(root, searching(experiments=groups)).experiments
    return {name: Group.model_validate(group) for name, group in groups.items()}, experiments


ABSENT = object()


def searching(**changes: Any) -> dict[str, Any]:
    """A campaign that searches the highest good rate of two batch sizes."""
    config = copy.deepcopy(BASE)
    config["measurement"] = {"minimum_duration_s": 20}
    config["slo"] = {"time_to_first_token_ms": 500}
    config["defaults"] |= {"load_mode": "open"}
    config["experiments"] = {"x": {"axes": {"batch_size": [1, 8], "request_rate": SEARCH}}}
    return {key: value for key, value in (config | changes).items() if value is not ABSENT}


def grid(low: float, high: float, tolerance: float) -> list[float]:
    return RateGrid(**{"from": low, "to": high, "tolerance": tolerance}).rates


@given(st.floats(0.01, 100), st.floats(0.01, 1), st.floats(2.0, 100))
def test_neighbours_lie_a_tolerance_apart(low: float, tolerance: float, span: float) -> None:
    rates = grid(low, low * (1 + tolerance) * span, tolerance)
    assert rates[0] == low
    assert rates[-1] <= low * (1 + tolerance) * span * (1 + 1e-9)
    for lower, upper in pairwise(rates):
        assert upper / lower == pytest.approx(1 + tolerance, abs=2e-3)


def test_another_upper_bound_keeps_the_rates_below_it() -> None:
    assert grid(2, 100, 0.1)[: len(grid(2, 10, 0.1))] == grid(2, 10, 0.1)


def test_each_rate_is_the_experiment_that_a_list_of_rates_makes(root: Path) -> None:
    campaign = load(root, searching())
    rates = [2, 3, 4.5, 6.75, 10.12, 15.19]
    assert [search.name for search in campaign.searches] == ["x_batch1", "x_batch8"]
    assert [list(search.rates) for search in campaign.searches] == [rates, rates]
    assert campaign.searches[1].names[2:4] == ("x_batch8_rate4.5", "x_batch8_rate6.75")
    axes = {"batch_size": [1, 8], "request_rate": rates}
    listed = load(root, searching(experiments={"x": {"axes": axes}}))
    assert listed.searches == ()
    assert listed.names == campaign.names


def test_without_other_axes_the_group_names_the_search(root: Path) -> None:
    campaign = load(root, searching(experiments={"x": {"axes": {"request_rate": SEARCH}}}))
    assert [search.name for search in campaign.searches] == ["x"]


class Passes(list[Experiment]):
    """Experiments that count how often they are read from first to last."""

    count = 0

    def __iter__(self) -> Iterator[Experiment]:
        self.count += 1
        return super().__iter__()


def simply_searched(
    groups: Mapping[str, Group], experiments: Sequence[Experiment]
) -> Iterator[list[Experiment]]:
    """Yield the experiments of each search: those of a group that differ in their rate alone."""

    def others(experiment: Experiment) -> dict[str, Any]:
        return {**experiment.factors, "request_rate": None}

    for name in (name for name, group in groups.items() if searched_axis(group)):
        own = [e for e in experiments if e.group == name]
        for first in own:
            alike = [e for e in own if others(e) == others(first)]
            if alike[0] is first:
                yield sorted(alike, key=lambda e: float(e.factors["request_rate"]))


@given(data=st.data())
def test_searches_are_found_in_one_pass_in_any_order_of_experiments(
    three_groups: tuple[Mapping[str, Group], Sequence[Experiment]], data: st.DataObject
) -> None:
    groups, experiments = three_groups
    order = data.draw(st.permutations(experiments))
    some = Passes(order[: data.draw(st.integers(0, len(order)))])
    found = rate_searches(SimpleNamespace(experiments=groups), some)  # type: ignore[arg-type]
    assert some.count == 1
    assert [list(s.experiments) for s in found] == list(simply_searched(groups, list(some)))


def of_group(**group: Any) -> dict[str, Any]:
    return {"experiments": {"x": {"axes": {"request_rate": SEARCH}} | group}}


def of_grid(**limits: Any) -> dict[str, Any]:
    search = {"highest_good": SEARCH["highest_good"] | limits}
    return of_group(axes={"request_rate": search})


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"slo": ABSENT}, "experiments.x.axes.request_rate: highest_good needs `slo`"),
    ({"slo": None}, "slo: must be keys with values, not null"),
    ({"slo": {}}, "slo: holds no objective; give one of"),
    ({"cycles": {"first": 3, "maximum": 9}}, "cycles: must be one number where a highest good"),
    ({"reference": "x_batch1_rate3"}, "reference: x_batch1_rate3 may not be measured"),
    ({"controls": {"a_a": True}}, "controls: would be those of x_batch1_rate2, whose rate"),
    (of_grid(to=2.5), "highest_good: holds one rate; raise `to` to `from` × (1 + `tolerance`)"),
    (of_grid(to=1), "highest_good: holds one rate; raise `to` to `from` × (1 + `tolerance`)"),
    (of_grid(tolerance=0), "highest_good.tolerance: must be at least 0.01, not 0"),
    (of_grid(**{"from": 0}), "highest_good.from: must be above 0, not 0"),
    (of_grid(step=1), "highest_good.step: unknown key"),
    (
        of_group(axes={"batch_size": SEARCH, "request_rate": [2, 3]}),
        "axes.batch_size: highest_good is for `axes.request_rate` alone",
    ),
    (
        of_group(axes={}, linked=[{"request_rate": SEARCH}]),
        "linked[0].request_rate: highest_good is for `axes.request_rate` alone",
    ),
    (
        of_group(include=[{"request_rate": 5}]),
        "include: a group that searches its highest good rate has none",
    ),
    (
        of_group(exclude=[{"request_rate": 3}]),
        "exclude[0].request_rate: a search decides itself which rates are measured",
    ),
    (
        of_group(axes={}, settings={"request_rate": SEARCH}),
        "settings.request_rate: must be a number",
    ),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES)
def test_a_mistake_is_one_line(root: Path, changes: dict[str, Any], message: str) -> None:
    (found,) = mistakes(root, searching(**changes))
    assert message in found


def test_rates_without_enough_arrivals_are_one_line(root: Path) -> None:
    (found,) = mistakes(root, searching(measurement={"minimum_duration_s": 1}))
    assert "request_rate: 2/s makes 2 arrivals in a window of 1 s, 30 are needed" in found


def test_a_rate_above_the_trace_is_one_line(root: Path) -> None:
    lines = [
        f'{{"timestamp": {200 * n}, "input_length": 9, "output_length": 3}}' for n in range(900)
    ]
    (root / "day").write_text("\n".join(lines))
    config = searching(traces={"day": {"file": "day"}})
    config["defaults"] |= {"trace": "day", "arrivals": {"process": "trace"}}
    (found,) = mistakes(root, config)
    assert "6.75 is more than the 5/s of the trace" in found
