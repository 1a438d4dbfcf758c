"""Verdicts on controls: their ratios have a known answer."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy import make_results
from tests.llm_energy.make_results import put_result
from tests.llm_energy.power import made_power

from llm_energy.analysis.aggregate import aggregate
from llm_energy.analysis.controls import control_findings, verdict
from llm_energy.campaign.control_experiments import Control
from llm_energy.report.control_section import controls_table, failed_controls
from llm_energy.report.headline import console
from llm_energy.report.page import render_page
from llm_energy.stats.paired_ratios import paired_ratio
from llm_energy.workflow.invalid import invalid_results

BASE = make_results.REFERENCE
A_A = Control("a_a", f"{BASE}.a_a", BASE)
IDLE = Control("idle", BASE, BASE)
SAMPLER_OFF = Control("sampler_off", f"{BASE}.sampler_off", BASE)

EQUAL = [1.001, 0.998, 1.002, 0.999]
SCATTERED = [1.08, 0.93, 1.05, 0.96]
SLIGHTLY_OFF = [1.0050, 1.0052, 1.0049, 1.0051]
"""Inside ±2 %, and certainly not 1."""
OFF = [1.051, 1.049, 1.050, 1.052]


def ratio_of(values):
    return paired_ratio(dict.fromkeys(range(len(values)), 1.0), dict(enumerate(values)))


@pytest.mark.parametrize(
    ("values", "a_a", "others"),
    [
        (EQUAL, "pass", "pass"),
        (SCATTERED, "inconclusive", "inconclusive"),
        (SLIGHTLY_OFF, "fail", "pass"),
        (OFF, "fail", "fail"),
        (EQUAL[:2], "not_testable", "not_testable"),
        ([], "not_testable", "not_testable"),
    ],
)
def test_each_verdict(values, a_a, others):
    assert verdict(ratio_of(values), exact=True) == a_a
    assert verdict(ratio_of(values), exact=False) == others


ratios = st.lists(st.floats(0.5, 2.0), min_size=3, max_size=12)


@given(ratios)
def test_a_control_passes_only_inside_the_limit_and_fails_only_outside_of_one(values):
    ratio = ratio_of(values)
    inner, outer = ratio.interval(), ratio.interval(0.99)
    for exact in (True, False):
        found = verdict(ratio, exact=exact)
        if found == "pass":
            assert 0.98 <= inner.low <= inner.high <= 1.02
        if found == "fail":
            assert outer.low > 1.0 or outer.high < 1.0


@given(ratios)
def test_an_exact_control_is_never_judged_more_kindly(values):
    severity = ["pass", "inconclusive", "fail"]
    exact, lenient = (verdict(ratio_of(values), exact=each) for each in (True, False))
    assert severity.index(exact) >= severity.index(lenient)


@given(ratios)
def test_which_of_the_two_was_named_second_does_not_matter_for_a_fault(values):
    turned = [1.0 / value for value in values]
    one, other = (verdict(ratio_of(each), exact=True) == "fail" for each in (values, turned))
    assert one == other


def results(control=A_A, speeds=EQUAL, **changes):
    """The base at 100 tokens/s in every cycle, and its control at these multiples of it."""
    made = []
    for cycle, factor in enumerate(speeds, start=1):
        for name, speed in ((control.base, 100.0), (control.experiment, 100.0 * factor)):
            result = make_results.make_result(name, cycle=cycle, **changes)
            made.append(result.model_copy(update={"output_tokens_per_second": speed}))
    return made


def no_series(_):
    return None


def test_a_ratio_is_paired_by_cycle_within_a_session():
    made = results()
    (found,) = control_findings([A_A], made, no_series)
    assert (found.pairs, found.verdict) == (4, "pass")
    assert found.ratio == pytest.approx(math.prod(EQUAL) ** 0.25)
    assert found.low_99 < found.low < found.ratio < found.high < found.high_99

    elsewhere = made[1].environment.model_copy(update={"session_id": "later"})
    made[1] = made[1].model_copy(update={"environment": elsewhere})
    (found,) = control_findings([A_A], made, no_series)
    assert found.pairs == 3


def test_one_that_was_added_later_is_not_testable_and_says_why():
    made = [r for r in results() if r.experiment == BASE]
    (found,) = control_findings([A_A], made, no_series)
    assert (found.pairs, found.ratio, found.verdict) == (0, None, "not_testable")
    assert found.reason == "Not testable: not measured in the same cycle of a session."


def test_energy_is_tested_where_it_was_measured():
    found = control_findings([A_A], results(metered=True), no_series)
    assert [one.metric for one in found] == ["output_tokens_per_second", "joules_per_output_token"]


def test_what_sampling_costs_cannot_be_reported_where_nothing_is_sampled():
    (found,) = control_findings([SAMPLER_OFF], results(SAMPLER_OFF), no_series)
    assert (found.verdict, found.ratio) == ("not_testable", None)
    assert "no power sensor" in found.reason


class TestIdle:
    def findings(self, second_half, metered=True):
        """Idle from 1 to 3 s at 50 W, and in its second half at these powers, one each cycle."""
        device = made_power.GPU.id
        made, series = [], {}
        for cycle, watts in enumerate(second_half, start=1):
            result = make_results.make_result(BASE, cycle=cycle, metered=metered)
            idle = next(phase for phase in result.phases if phase.name == "idle")
            middle = (idle.start_monotonic_s + idle.end_monotonic_s) / 2
            energy = result.energy.model_copy(
                update={
                    "devices": [
                        each.model_copy(update={"device": device}) for each in result.energy.devices
                    ]
                }
            )
            made.append(result.model_copy(update={"energy": energy}))
            series[cycle] = made_power.series_of(
                lambda t, watts=watts, middle=middle: 50.0 if t <= middle else watts,
                start=idle.start_monotonic_s - 1.0,
                end=result.window.end_monotonic_s,
                rate=50.0,
            )
        return control_findings([IDLE], made, lambda result: series[result.cycle])

    def test_a_device_at_rest_has_no_energy_above_idle(self):
        (found,) = self.findings([50.0, 50.05, 49.95, 50.02])
        assert (found.pairs, found.verdict) == (4, "pass")
        assert found.ratio == pytest.approx(1.0, abs=1e-3)

    def test_a_device_that_is_still_falling_back_fails(self):
        (found,) = self.findings([46.0, 46.1, 45.9, 46.0])
        assert found.verdict == "fail"
        assert found.ratio == pytest.approx(0.92, abs=0.005)

    def test_without_a_meter_there_is_no_number_and_a_reason(self):
        (found,) = self.findings([50.0, 50.0, 50.0], metered=False)
        assert (found.ratio, found.verdict) == (None, "not_testable")
        assert found.reason == "Not testable: no idle power was measured."


@pytest.fixture
def summary(tmp_path):
    """A small campaign with an A/A control that failed."""

    def make(speeds):
        for result in results(speeds=speeds):
            put_result(tmp_path / make_results.path_of(result), result)
        planned = [make_results.path_of(result) for result in results(speeds=speeds)]
        return aggregate(
            tmp_path, planned=planned, design=make_results.design(cycles=4, controls=(A_A,))
        )

    return make


def test_a_control_is_counted_and_is_no_part_of_any_statement_about_experiments(summary):
    found = summary(OFF)
    assert (found.findings.planned, found.findings.completed) == (8, 8)
    assert set(found.measurements["experiment"]) == set(found.experiments["experiment"]) == {BASE}
    assert found.findings.comparisons == found.findings.axis_comparisons == []
    assert found.findings.warmups
    assert {trace.experiment for trace in found.findings.warmups} == {BASE}
    assert A_A.experiment not in console(found)


def test_the_page_shows_its_controls_and_one_that_failed_at_its_head(summary):
    page = render_page(summary(OFF), [], partial=False)
    assert 'id="controls-table"' in page
    assert "1 experiment and 1 control × 4 cycles" in page
    assert "A/A by throughput failed (1.0505, 95 % interval 1.048" in page
    (sentence,) = failed_controls(summary(OFF))
    assert sentence.startswith(
        "The control “A/A” failed by throughput. Equal settings gave different"
    )
    assert sentence in page
    assert failed_controls(summary(EQUAL)) == []
    assert controls_table(summary(EQUAL)).rows[0][5].text == "passed"


def test_a_campaign_without_controls_has_no_such_section(tmp_path):
    planned = make_results.make_campaign(tmp_path)
    found = aggregate(tmp_path, planned=planned, design=make_results.design())
    assert controls_table(found) is None
    assert 'id="controls' not in render_page(found, [], partial=False)


def test_a_control_without_a_sampler_is_not_worth_measuring_again(tmp_path):
    result = make_results.make_result(SAMPLER_OFF.experiment)
    paths = []
    for reason in ("sampler_off", "gpu_lost"):
        energy = result.energy.model_copy(update={"reason": reason})
        changed = result.model_copy(update={"energy": energy, "cycle": len(paths) + 1})
        paths.append(make_results.path_of(changed))
        put_result(tmp_path / paths[-1], changed)
    found = invalid_results(tmp_path, paths, on_gpu=False, elsewhere=True)
    assert found.mendable == [paths[1]]
