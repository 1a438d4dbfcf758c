"""The highest good rate from results: found, with its interval, in words."""

import random
from collections.abc import Callable
from shutil import copytree

import pytest
from tests.llm_energy.make_open import make_open_result
from tests.llm_energy.make_results import design, path_of, put_result
from tests.worker.virtual_engine import replace_clock

from llm_energy.analysis.aggregate import aggregate
from llm_energy.analysis.derived_records import write_record
from llm_energy.analysis.design import Design, Search
from llm_energy.analysis.highest_good import highest_good_rates
from llm_energy.analysis.judgement import judge, write_judgement
from llm_energy.analysis.summary import Summary
from llm_energy.archive.verify import verify_results
from llm_energy.campaign.arrival_settings import Objectives
from llm_energy.report.headline import console
from llm_energy.report.page import render_page
from llm_energy.report.serving_figures import by_request_rate
from llm_energy.report.style import PAGE_INCHES, styled
from llm_energy.results.layout import judgement_path
from llm_energy.results.open_load import SATURATED, STABLE, UNDECIDED, Attained, Saturation
from llm_energy.results.open_load import Objectives as InSeconds
from llm_energy.results.result import Result, ResultError

SLO = Objectives(time_to_first_token_ms=200.0, end_to_end_ms=1000.0)
RATES = (5.0, 10.0, 15.0, 40.0)
"""An engine of 22.9 requests per second is searched: 10 is measured first, then 15, then 40."""


def searched(rates: tuple[float, ...] = RATES, **changes) -> Design:
    names = tuple(f"x_rate{rate:g}" for rate in rates)
    search = Search(name="x", rates=rates, experiments=names)
    plain = {"reference": None, "slo": SLO, "cycles": 2, "searches": (search,)}
    return design(**(plain | changes))


@pytest.fixture(scope="module")
def visited(tmp_path_factory) -> tuple:
    """The results of two cycles at 10, 15 and 40 requests per second, and their folder."""
    folder = tmp_path_factory.mktemp("searched")
    with pytest.MonkeyPatch.context() as patch:
        clock = replace_clock(patch)
        results = [
            make_open_result(folder, clock, rate=rate, cycle=cycle, experiment=f"x_rate{rate:g}")
            for rate in RATES[1:]
            for cycle in (1, 2)
        ]
    for result in results:
        put_result(folder / path_of(result), result)
    return folder, results


@pytest.fixture(scope="module")
def summary(visited) -> Summary:
    folder, results = visited
    return aggregate(folder, planned=[path_of(r) for r in results], design=searched())


def test_the_summary_has_the_rate_its_interval_and_what_was_visited(summary: Summary) -> None:
    (found,) = summary.findings.highest_good
    assert [one.rate for one in found.visited] == [10.0, 15.0, 40.0]
    assert [one.good for one in found.visited] == [True, True, False]
    assert found.complete
    assert not found.at_least
    assert found.found == 15.0
    assert (found.low, found.high) == (10.0, 40.0)  # of two cycles 15 is not clearly kept
    assert found.visited[1].clearly is None
    assert found.visited[2].growing == 2
    assert found.visited[2].clearly == "missed"


def test_report_figure_and_terminal_say_it(summary: Summary) -> None:
    (found,) = summary.findings.highest_good
    sentence = "x: 15 requests/s is the highest rate that keeps the objectives for 90 % of the"
    assert sentence in console(summary)
    assert "(95 % interval: at or above 10 and below 40)" in console(summary)
    assert found.sentence in render_page(summary, [], partial=False)
    assert "those that a bisection visited" in render_page(summary, [], partial=False)
    with styled(PAGE_INCHES):
        figures = {drawing.name: drawing for drawing in by_request_rate(summary)}
        figure = figures["attainment-by-request-rate"]
        assert "as the search found it" in figure.caption
        (panel,) = figure.canvas.axes
        strokes = [line for line in panel.lines if line.get_marker() == "|"]
    assert [line.get_xdata()[0] for line in strokes] == [15.0]


def test_a_judgement_follows_from_the_results(visited) -> None:
    folder, results = visited
    judgement = judge(results[:2][::-1], SLO, folder)
    assert judgement.good
    assert judgement.attainments == [r.open_load.attained.attainment for r in results[:2]]
    assert not judge(results[4:], SLO, folder).good
    stricter = judge(results[:2], Objectives(time_to_first_token_ms=1.0), folder)
    assert not stricter.good
    assert stricter.attainments == [0.0, 0.0]


def test_other_objectives_need_the_requests(visited, tmp_path) -> None:
    _, results = visited
    assert judge(results[:2], SLO, tmp_path).good
    with pytest.raises(ResultError, match="is not there, and other objectives need it"):
        judge(results[:2], Objectives(end_to_end_ms=1.0), tmp_path)


@pytest.mark.parametrize("damage", ["no Parquet", "other requests"])
def test_damaged_requests_judge_nothing_and_break_no_summary(visited, tmp_path, damage) -> None:
    folder, other = copytree(visited[0], tmp_path / "copy"), Objectives(end_to_end_ms=700.0)
    results = visited[1]
    first, second = (folder / result.side_files["requests"].path for result in results[:2])
    first.write_bytes(b"x" if damage == "no Parquet" else second.read_bytes())
    assert judge(results[:2], SLO, folder).good
    with pytest.raises(ResultError) as error:
        judge(results[:2], other, folder)
    again = f"need it; delete {folder / path_of(results[0])}, and it is measured again"
    changed = "was changed after it was measured"
    assert str(error.value) == f"{first}: {changed}, and other objectives {again}"
    planned = [path_of(result) for result in results]
    summary = aggregate(folder, planned=planned, design=searched(slo=other))
    (found,) = summary.findings.highest_good
    assert not found.complete


def test_a_judgement_takes_the_place_of_those_by_other_objectives(visited, tmp_path) -> None:
    """A result may have been measured again since, and `verify` would find it contradicted."""
    folder, results = visited
    spec = results[0].spec_hash
    paths = [
        tmp_path / judgement_path(spec, cycles=cycles, objectives=digit * 12)
        for cycles, digit in ((2, "0"), (1, "0"), (2, "1"))
    ]
    decision = paths[0].with_name("cycles.json")
    decision.parent.mkdir(parents=True)
    decision.touch()
    for path in paths:
        write_judgement(path, judge(results[:2], SLO, folder))
    assert sorted(paths[0].parent.iterdir()) == sorted([decision, paths[2]])


def test_verify_judges_again(visited, tmp_path) -> None:
    folder = copytree(visited[0], tmp_path / "copy")
    own = visited[1][:2]
    judgement = judge(own, SLO, folder)
    path = folder / judgement_path(own[0].spec_hash, cycles=2, objectives="0" * 12)

    def found() -> list[str]:
        return [p for p in verify_results(folder).problems if p.startswith("decisions/")]

    write_record(path, judgement)
    assert found() == []
    write_record(path, judgement.model_copy(update={"good": False}))
    (problem,) = found()
    assert "says not good by attainments" in problem
    path.write_text("{")
    (problem,) = found()
    assert problem.endswith(": cannot be read")


def with_attainment(
    result: Result,
    rate: float,
    cycle: int,
    good: int,
    arrivals: int,
    *,
    saturation: Saturation = STABLE,
) -> Result:
    """A result with so many good requests; nothing else of it is read."""
    attained = Attained(
        objectives=InSeconds(**SLO.in_seconds()),
        good=good,
        attainment=good / arrivals,
        goodput_per_second=0.0,
        joules_per_good_request=None,
    )
    load = result.open_load
    assert load is not None
    own = {"arrivals": arrivals, "attained": attained, "saturation": saturation}
    changed = {"experiment": f"x_rate{rate:g}", "cycle": cycle}
    return result.model_copy(update=changed | {"open_load": load.model_copy(update=own)})


Campaign = Callable[[Callable[[float], float]], list[Result]]


def measured(result: Result, share: Callable[[float], float], rates, *, chance, cycles=3):
    """Every rate of a grid in all cycles, of which a search sees those that it visits."""
    return [
        with_attainment(
            result, rate, cycle, sum(chance.random() < share(rate) for _ in range(60)), 60
        )
        for rate in rates
        for cycle in range(1, cycles + 1)
    ]


def test_a_saturated_rate_is_not_good_and_an_undecided_one_may_be(visited) -> None:
    folder, (result, *_) = visited

    def judged(*verdicts: Saturation):
        cycles = enumerate(verdicts, start=1)
        return judge(
            [with_attainment(result, 5.0, n, 60, 60, saturation=v) for n, v in cycles], SLO, folder
        )

    growing = judged(SATURATED, STABLE)
    assert (growing.growing, growing.good) == (1, False)
    chance = judged(UNDECIDED, STABLE)
    assert (chance.growing, chance.good) == (0, True)


def test_nothing_good_everything_good_and_half_a_search_are_said(visited) -> None:
    result, chance = visited[1][0], random.Random(1)

    def sentence(share: float, rates=RATES) -> str:
        results = measured(result, lambda _: share, rates, chance=chance)
        (found,) = highest_good_rates(searched(cycles=3), results)
        return found.sentence

    assert sentence(0.0).startswith("x: no rate keeps the objectives for 90")
    assert sentence(1.0).startswith("x: at least 40 requests/s is the highest rate that keeps")
    assert "95 % interval: at or above 40)" in sentence(1.0)
    assert sentence(1.0, RATES[1:2]).startswith("x: the search has not come to its end.")


def test_the_interval_holds_the_true_rate(visited) -> None:
    """Attainment falls from 1 to 0 between 8 and 32 requests/s; it is 0.9 at 11.3."""
    result, chance = visited[1][0], random.Random(2)
    rates = tuple(4.0 * 1.15**n for n in range(16))
    true = 11.31
    wrong = bounded = 0
    for _ in range(200):

        def share(rate: float) -> float:
            steady = min(1.0, max(0.0, 1.0 - 0.1 * (rate / true) ** 3))
            return min(1.0, max(0.0, steady + chance.gauss(0.0, 0.02)))

        results = measured(result, share, rates, chance=chance)
        (found,) = highest_good_rates(searched(rates, cycles=3), results)
        assert len(found.visited) <= 5
        low, high = found.low or 0.0, found.high or float("inf")
        wrong += not low <= true < high
        bounded += found.high is not None
    assert wrong <= 10
    assert bounded > 100
