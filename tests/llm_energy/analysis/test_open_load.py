"""Open loads in the analysis: means, comparisons and trade-offs."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.llm_energy.make_open import make_open_result
from tests.llm_energy.make_results import design, make_result, path_of, put_result
from tests.worker.virtual_engine import Clock, virtual_clock

from llm_energy.analysis.aggregate import aggregate
from llm_energy.analysis.decode_energy import decode_energies
from llm_energy.analysis.measurements_table import COLUMNS, measurements_table
from llm_energy.analysis.part_columns import OPEN_LOAD
from llm_energy.analysis.summary import Summary
from llm_energy.campaign.arrival_settings import Objectives
from llm_energy.campaign.contrasts import Contrast
from llm_energy.results.open_load import SATURATED, STABLE, UNDECIDED
from llm_energy.results.result import Result
from llm_energy.results.side_files import read_requests

__all__ = ["virtual_clock"]

SLO = Objectives(time_to_first_token_ms=200.0, end_to_end_ms=1000.0)


def summary_of(folder: Path, results: list[Result], **changes: Any) -> Summary:
    planned = [path_of(result) for result in results]
    for path, result in zip(planned, results, strict=True):
        put_result(folder / path, result)
    plan = design(**({"reference": None, "slo": SLO} | changes))
    return aggregate(folder, planned=planned, design=plan)


def rows_of(summary: Summary, metric: str) -> pd.DataFrame:
    table = summary.experiments
    return table[table["metric"] == metric].reset_index(drop=True)


def test_a_saturated_cycle_is_not_averaged_into_steady_ones(
    tmp_path: Path, virtual_clock: Clock
) -> None:
    """Cycle 3 of one experiment is so slow that its queue grows."""
    results = [make_open_result(tmp_path, virtual_clock, rate=10.0, cycle=c) for c in (1, 2)]
    slow = {"service": {"token_s": 0.08}}
    results.append(make_open_result(tmp_path, virtual_clock, rate=10.0, cycle=3, **slow))
    verdicts = [r.open_load.saturation for r in results if r.open_load]
    assert verdicts == [STABLE, STABLE, SATURATED]
    for metric in ("time_to_first_token_p95_s", "attainment", "requests_per_second"):
        rows = rows_of(summary_of(tmp_path, results), metric)
        assert rows["saturated"].tolist() == [False, True]
        assert rows["n"].tolist() == [2, 1]
    assert rows_of(summary_of(tmp_path, results), "attainment")["mean"][0] > 0.9


def test_an_undecided_cycle_counts_as_not_saturated(tmp_path: Path, virtual_clock: Clock) -> None:
    """To leave out cycles whose latency happened to grow would make the others' mean too good."""
    results = [
        make_open_result(
            tmp_path,
            virtual_clock,
            rate=10.0,
            cycle=cycle,
            experiment=name,
            settings={"batch_size": slots},
            service={"slots": slots},
        )
        for name, slots in (("a", 8), ("b", 16))
        for cycle in (1, 2)
    ]
    assert results[1].open_load is not None
    load = results[1].open_load.model_copy(update={"saturation": UNDECIDED})
    results[1] = results[1].model_copy(update={"open_load": load})
    summary = summary_of(tmp_path, results, contrasts=(Contrast("x", "1", "0", "a", "b"),))
    rows = rows_of(summary, "attainment")
    assert rows["n"].tolist() == [2, 2]
    assert not rows["saturated"].any()
    fronts = {f.metric: {point.experiment for point in f.points} for f in summary.findings.fronts}
    assert fronts == {"inter_token_latency_p50_s": {"a", "b"}}
    assert {one.pairs for one in summary.findings.axis_comparisons} == {2}


def test_the_interval_of_an_attainment_lies_within_0_and_1_and_has_a_width(
    tmp_path: Path, virtual_clock: Clock
) -> None:
    results = []
    for rate, goods in ((5.0, (1.0, 0.8)), (10.0, (0.0, 0.2)), (15.0, (1.0, 1.0))):
        for cycle, share in enumerate(goods, start=1):
            result = make_open_result(tmp_path, virtual_clock, rate=rate, cycle=cycle)
            assert result.open_load is not None
            assert result.open_load.attained is not None
            attained = result.open_load.attained.model_copy(update={"attainment": share})
            load = result.open_load.model_copy(update={"attained": attained})
            results.append(result.model_copy(update={"open_load": load}))
    rows = rows_of(summary_of(tmp_path, results), "attainment").set_index("experiment")
    near_1, near_0, all_1 = (rows.loc[f"serving_rate{rate}"] for rate in (5, 10, 15))
    # The half width of Student's t with one degree is 1.27: less than one request tells as much.
    assert (near_1["t_low"], near_1["t_high"]) == pytest.approx((0.0, 1.0), abs=1e-3)
    assert near_1["relative_half_width"] == pytest.approx(0.5 / 0.9, rel=1e-3)
    assert (near_0["t_low"], near_0["t_high"]) == pytest.approx((0.0, 1.0), abs=1e-3)
    requests = sum(r.open_load.arrivals for r in results[4:] if r.open_load)
    assert all_1["t_low"] == pytest.approx(0.025 ** (1 / requests))
    assert all_1["t_high"] == 1.0
    assert all_1["relative_half_width"] > 0
    assert rows[["log_t_low", "log_t_high"]].isna().all(axis=None)


def test_saturated_measurements_have_no_place_on_a_front_and_no_ratio(
    tmp_path: Path, virtual_clock: Clock
) -> None:
    results = [
        make_open_result(
            tmp_path,
            virtual_clock,
            rate=20.0,
            cycle=cycle,
            experiment=name,
            settings={"batch_size": slots},
            service={"slots": slots},
        )
        for cycle in (1, 2, 3)
        for name, slots in (("a", 8), ("b", 16), ("c", 2))
    ]
    pairs = (
        Contrast("batch_size", "16", "8", "b", "a"),
        Contrast("batch_size", "2", "8", "c", "a"),
    )
    findings = summary_of(tmp_path, results, contrasts=pairs).findings
    (front,) = findings.fronts  # throughput is that of the arrivals, and there is no energy
    assert (front.against, front.metric) == (
        "time_to_first_token_p50_s",
        "inter_token_latency_p50_s",
    )
    assert {point.experiment for point in front.points} == {"a", "b"}
    assert front.request_rate == 20.0
    assert {c.experiment for c in findings.axis_comparisons} == {"b"}
    assert {c.pairs for c in findings.axis_comparisons} == {3}
    assert {(r.experiment, r.reason) for r in findings.refused_comparisons} == {
        ("c", "a saturated measurement is compared with nothing")
    }


def test_other_rates_and_other_modes_are_refused(tmp_path: Path, virtual_clock: Clock) -> None:
    results = [make_open_result(tmp_path, virtual_clock, rate=rate) for rate in (5.0, 10.0)]
    results.append(make_result("waves"))
    names = ("serving_rate10", "waves")
    pairs = tuple(Contrast("x", "1", "0", name, "serving_rate5") for name in names)
    findings = summary_of(tmp_path, results, contrasts=pairs).findings
    assert findings.axis_comparisons == []
    reasons = {r.experiment: r.reason for r in findings.refused_comparisons}
    assert reasons["serving_rate10"] == "request rates must not be mixed: 5, 10"
    assert reasons["waves"] == "load modes must not be mixed: open, waves"


def test_results_are_judged_by_todays_objectives(tmp_path: Path, virtual_clock: Clock) -> None:
    result = make_open_result(tmp_path, virtual_clock, rate=18.0)
    assert result.open_load is not None
    assert result.open_load.attained is not None
    strict = Objectives(time_to_first_token_ms=60.0)
    for slo, expected in ((SLO, None), (strict, 0.06), (None, None)):
        row = summary_of(tmp_path, [result], slo=slo).measurements.iloc[0]
        if slo is None:
            assert pd.isna(row["attainment"])
        elif expected is None:
            assert row["attainment"] == result.open_load.attained.attainment
        else:
            assert row["objective_time_to_first_token_s"] == pytest.approx(expected)
            requests, _ = read_requests(tmp_path / result.side_files["requests"].path)
            counted = [r for r in requests if r["scheduled"] >= result.window.start_monotonic_s]  # type: ignore[union-attr]
            good = sum(r["token_times"][0] - r["scheduled"] <= 0.06 for r in counted)
            assert row["attainment"] == pytest.approx(good / len(counted))


def test_every_column_of_an_open_load_has_its_value(tmp_path: Path, virtual_clock: Clock) -> None:
    row = measurements_table([make_open_result(tmp_path, virtual_clock, rate=5.0)]).iloc[0]
    unknown = {"joules_per_good_request", "idle_energy_share", "objective_inter_token_latency_s"}
    unknown |= {"batch_size_reason"}  # nothing is missing
    assert {name for name in OPEN_LOAD if pd.isna(row[name])} == unknown
    assert (row["request_rate"], row["saturated"]) == (5.0, False)
    other = measurements_table([make_result()]).iloc[0]
    assert all(pd.isna(other[name]) for name in [*OPEN_LOAD, "request_rate", "saturated"])
    assert set(OPEN_LOAD) < set(COLUMNS)


def test_idle_gaps_are_no_energy_of_prefill_or_decoding(
    tmp_path: Path, virtual_clock: Clock
) -> None:
    results = []
    for length in (1, 8, 16):
        own = {"settings": {"output_tokens": length}, "experiment": f"out{length}"}
        for cycle in (1, 2, 3):
            result = make_open_result(tmp_path, virtual_clock, rate=3.0, cycle=cycle, **own)
            energy = make_result(metered=True).energy
            results.append(result.model_copy(update={"energy": energy}))
    assert list(decode_energies(results)) == []
    assert measurements_table(results)["prefill_joules_per_input_token"].isna().all()
