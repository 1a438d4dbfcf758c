"""Repeats of a measurement in load mode `open` are compared by latency and energy: throughput is
that of the arrivals, however slow the engine is."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pytest
from tests.llm_energy.make_open import make_open_result
from tests.llm_energy.make_results import design, make_result, path_of, put_result
from tests.worker.virtual_engine import Clock, virtual_clock

from llm_energy.analysis.aggregate import aggregate
from llm_energy.analysis.anchoring import anchor_ratios
from llm_energy.analysis.carry_over import carry_over
from llm_energy.analysis.controls import ControlFinding, control_findings
from llm_energy.analysis.device_differences import device_differences
from llm_energy.analysis.measurements_table import measurements_table
from llm_energy.campaign.control_experiments import Control
from llm_energy.campaign.experiment import ControlKind
from llm_energy.report.control_section import control_name
from llm_energy.report.traces import order
from llm_energy.results.metrics import END_TO_END, JOULES_PER_OUTPUT_TOKEN, THROUGHPUT, watched
from llm_energy.results.open_load import SATURATED, STABLE, UNDECIDED, Saturation
from llm_energy.results.parts import SideFile
from llm_energy.results.result import Result

__all__ = ["virtual_clock"]

A_A = Control("a_a", "serve.a_a", "serve")
SERIES = {"series": SideFile(path="made", sha256="0" * 64)}

SLOWER = {"token_s": 0.0208, "prefill_s": 0.052}
"""4 % more than usual."""


def served(
    folder: Path, clock: Clock, name: str, *, cycle: int, slower: bool = False, rate: float = 10.0
) -> Result:
    service = SLOWER if slower else {}
    return make_open_result(folder, clock, rate=rate, cycle=cycle, experiment=name, service=service)


def pairs(
    folder: Path,
    clock: Clock,
    *,
    slower: bool = False,
    rate: float = 10.0,
    cycles: Iterable[int] = (1, 2, 3, 4),
) -> list[Result]:
    """The base and its A/A control in each cycle."""
    return [
        served(folder, clock, name, cycle=cycle, slower=slower and name != "serve", rate=rate)
        for cycle in cycles
        for name in ("serve", A_A.experiment)
    ]


def with_verdict(result: Result, saturation: Saturation) -> Result:
    assert result.open_load is not None
    load = result.open_load.model_copy(update={"saturation": saturation})
    return result.model_copy(update={"open_load": load})


def finding_of(control: Control, results: list[Result]) -> ControlFinding:
    (found,) = control_findings([control], results, lambda _: None)
    return found


@pytest.mark.parametrize("load_mode", ["waves", "closed", None])
def test_other_load_modes_are_watched_by_throughput(load_mode: str | None) -> None:
    assert watched(THROUGHPUT, load_mode, None)
    assert watched(JOULES_PER_OUTPUT_TOKEN, load_mode, None)
    assert not watched(END_TO_END, load_mode, None)


@pytest.mark.parametrize(
    ("saturation", "by_latency"), [(STABLE, True), (UNDECIDED, True), (SATURATED, False)]
)
def test_an_open_load_is_watched_by_latency_unless_its_queue_grew(
    saturation: str, by_latency: bool
) -> None:
    assert watched(END_TO_END, "open", saturation) == by_latency
    assert watched(JOULES_PER_OUTPUT_TOKEN, "open", saturation)
    assert not watched(THROUGHPUT, "open", saturation)


class TestControls:
    def test_equal_engines_pass_by_latency(self, tmp_path: Path, virtual_clock: Clock) -> None:
        found = finding_of(A_A, pairs(tmp_path, virtual_clock))
        assert (found.metric, found.pairs) == (END_TO_END.column, 4)
        assert (found.ratio, found.verdict) == (pytest.approx(1.0), "pass")
        assert control_name(found) == "A/A by end-to-end latency"

    def test_a_slower_engine_fails_although_its_throughput_is_that_of_the_arrivals(
        self, tmp_path: Path, virtual_clock: Clock
    ) -> None:
        made = pairs(tmp_path, virtual_clock, slower=True)
        speeds = [result.output_tokens_per_second or 0.0 for result in made]
        assert speeds[1::2] == pytest.approx(speeds[::2], rel=0.02)
        found = finding_of(A_A, made)
        assert found.verdict == "fail"
        assert found.ratio == pytest.approx(1.04, abs=0.005)

    def test_where_every_queue_grew_it_is_not_testable(
        self, tmp_path: Path, virtual_clock: Clock
    ) -> None:
        found = finding_of(A_A, pairs(tmp_path, virtual_clock, rate=60.0))
        assert (found.metric, found.verdict) == (END_TO_END.column, "not_testable")
        assert found.reason.startswith("Not testable: saturated, so that latencies depend on")

    @pytest.mark.parametrize(
        ("kind", "verdict"), [("a_a", "inconclusive"), ("sampler_off", "inconclusive")]
    )
    @pytest.mark.parametrize("grown", [(3, 4), (1, 2, 3, 4)])
    def test_a_queue_that_grows_on_one_side_alone_is_never_a_pass(
        self,
        tmp_path: Path,
        virtual_clock: Clock,
        kind: ControlKind,
        verdict: str,
        grown: tuple[int, ...],
    ) -> None:
        """The other cycles are equal."""
        made = pairs(tmp_path, virtual_clock, cycles=range(1, 6))
        control = Control(kind, "serve.a_a", "serve")
        made = [
            with_verdict(r, SATURATED) if r.experiment != "serve" and r.cycle in grown else r
            for r in made
        ]
        made = [r.model_copy(update={"side_files": r.side_files | SERIES}) for r in made]
        found = finding_of(control, made)
        assert (found.pairs, found.verdict) == (5 - len(grown), verdict)
        assert f"In {len(grown)} cycles the queue grew on one side alone" in found.reason

    def test_a_fault_stays_one_although_a_queue_grew(
        self, tmp_path: Path, virtual_clock: Clock
    ) -> None:
        made = pairs(tmp_path, virtual_clock, slower=True)
        made[-1] = with_verdict(made[-1], SATURATED)
        assert finding_of(A_A, made).verdict == "fail"

    def test_sides_that_are_saturated_in_turn_were_in_the_same_cycles(
        self, tmp_path: Path, virtual_clock: Clock
    ) -> None:
        made = pairs(tmp_path, virtual_clock)
        made = [
            with_verdict(r, SATURATED) if (r.cycle < 3) == (r.experiment == "serve") else r
            for r in made
        ]
        found = finding_of(A_A, made)
        assert (found.pairs, found.verdict) == (0, "inconclusive")
        assert "In 4 cycles" in found.reason


def test_carry_over_is_that_of_latency(tmp_path: Path, virtual_clock: Clock) -> None:
    found = carry_over(pairs(tmp_path, virtual_clock))
    assert {effect.metric for effect in found} == {END_TO_END.column}


def test_in_a_campaign_of_both_each_mode_has_its_own_metric(
    tmp_path: Path, virtual_clock: Clock
) -> None:
    made = [*pairs(tmp_path, virtual_clock), *(make_result(cycle=c) for c in (1, 2, 3, 4))]
    assert {effect.metric for effect in carry_over(made)} == {
        END_TO_END.column,
        THROUGHPUT.column,
    }


def test_an_anchor_is_compared_by_latency(tmp_path: Path, virtual_clock: Clock) -> None:
    earlier = [served(tmp_path, virtual_clock, "serve", cycle=cycle) for cycle in (1, 2)]
    anchor = served(tmp_path, virtual_clock, "serve", cycle=1, slower=True)
    place = anchor.environment.model_copy(update={"session_id": "later"})
    anchor = anchor.model_copy(update={"environment": place})
    (ratio,) = anchor_ratios([anchor], earlier)
    assert ratio.metric == END_TO_END.column
    assert ratio.ratio > 1.03


def test_a_slower_device_stands_out_by_latency(tmp_path: Path, virtual_clock: Clock) -> None:
    made = []
    for cycle in range(1, 9):
        device = "GPU-b" if cycle % 2 else "GPU-a"
        result = served(tmp_path, virtual_clock, "serve", cycle=cycle, slower=device == "GPU-b")
        place = result.environment.model_copy(update={"device_uuids": [device]})
        made.append(result.model_copy(update={"environment": place}))
    table = measurements_table(made, None)
    found = {one.device: one for one in device_differences(table, margin=0.02)}
    assert {one.metric for one in found.values()} == {END_TO_END.column}
    assert found["GPU-b"].ratio is not None
    assert found["GPU-b"].ratio > 1.03


def test_drift_over_the_run_is_that_of_latency(tmp_path: Path, virtual_clock: Clock) -> None:
    made = [served(tmp_path, virtual_clock, "serve", cycle=cycle) for cycle in (1, 2, 3, 4)]
    for result in made:
        put_result(tmp_path / path_of(result), result)
    plan = design(reference=None)
    summary = aggregate(tmp_path, planned=[path_of(result) for result in made], design=plan)
    assert summary.findings.drift is not None
    drawn = order(summary, energy=False)
    assert drawn is not None
    assert drawn.title == "End-to-end latency, median over the order of the run"
    assert isinstance(drawn.data, pd.DataFrame)
    assert drawn.data[END_TO_END.column].tolist() == [
        result.latency.end_to_end_s.p50 for result in made
    ]
