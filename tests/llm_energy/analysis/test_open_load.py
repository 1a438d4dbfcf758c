"""Open loads in the analysis: what is averaged, compared, traded off and checked."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.llm_energy.make_open import OBJECTIVES, make_open_result
from tests.llm_energy.make_results import design, make_result, path_of, put_result
from tests.worker.virtual_engine import Clock, virtual_clock

from llm_energy.analysis.aggregate import aggregate
from llm_energy.analysis.decode_energy import decode_energies
from llm_energy.analysis.measurements_table import COLUMNS, measurements_table
from llm_energy.analysis.part_columns import OPEN_LOAD
from llm_energy.analysis.raw_data_checks import differences
from llm_energy.analysis.summary import Summary
from llm_energy.campaign.arrival_settings import Objectives
from llm_energy.campaign.contrasts import Contrast
from llm_energy.measurement.open_window import open_load
from llm_energy.results.open_load import SATURATED, STABLE, UNDECIDED
from llm_energy.results.result import Result
from llm_energy.results.side_files import read_requests, write_requests

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
    assert fronts["time_to_first_token_p50_s"] == {"a", "b"}
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
    (front,) = [f for f in findings.fronts if f.metric == "time_to_first_token_p50_s"]
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


class TestChecks:
    @pytest.fixture
    def measured(self, tmp_path: Path, virtual_clock: Clock) -> Result:
        return make_open_result(tmp_path, virtual_clock, rate=18.0)

    def test_a_result_follows_from_its_requests(self, measured: Result, tmp_path: Path) -> None:
        assert list(differences(tmp_path, measured)) == []

    def test_a_batch_size_is_unknown_of_a_server_alone(
        self, measured: Result, tmp_path: Path, virtual_clock: Clock
    ) -> None:
        def differing(result: Result, server: Mapping[str, Any]) -> list[str]:
            backend = result.spec.get("backend", {}) | server
            other = result.model_copy(update={"spec": result.spec | {"backend": backend}})
            assert other.of_server == bool(server)
            return [line for line in differences(tmp_path, other) if "batch_size" in line]

        of_server = {"server": {"command": ["serve"]}}
        assert differing(measured, of_server) == []  # a result of before
        served = make_open_result(tmp_path, virtual_clock, rate=18.0, is_server=True)
        assert differing(served, of_server) == []
        assert len(differing(served, {})) == 3

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"arrivals": 9}, "open_load.arrivals"),
            ({"saturation": "undecided"}, "open_load.saturation"),
            ({"saturation": "saturated"}, "open_load.saturation"),
            ({"idle_share": 0.5}, "open_load.idle_share"),
            ({"attained": None}, ""),
        ],
    )
    def test_another_number_is_seen(
        self, measured: Result, tmp_path: Path, changes: dict[str, Any], named: str
    ) -> None:
        assert measured.open_load is not None
        load = measured.open_load.model_copy(update=changes)
        found = list(differences(tmp_path, measured.model_copy(update={"open_load": load})))
        assert any(named in line for line in found) if named else found == []

    @pytest.mark.parametrize("name", ["attainment", "goodput_per_second", "good"])
    def test_another_goodput_is_seen(self, measured: Result, tmp_path: Path, name: str) -> None:
        assert measured.open_load is not None
        assert measured.open_load.attained is not None
        attained = measured.open_load.attained.model_copy(update={name: 0})
        load = measured.open_load.model_copy(update={"attained": attained})
        (found,) = differences(tmp_path, measured.model_copy(update={"open_load": load}))
        assert f"open_load.attained.{name}" in found

    def test_another_lateness_is_seen(self, measured: Result, tmp_path: Path) -> None:
        assert measured.open_load is not None
        late = measured.open_load.lateness.model_copy(update={"p99_s": 1.0})
        load = measured.open_load.model_copy(update={"lateness": late})
        (found,) = differences(tmp_path, measured.model_copy(update={"open_load": load}))
        assert "open_load.lateness.p99_s" in found

    def test_a_schedule_of_another_seed_is_seen(self, measured: Result, tmp_path: Path) -> None:
        resolved = dict(measured.settings.resolved)
        resolved["arrivals"] = {**resolved["arrivals"], "seed": 2}
        settings = measured.settings.model_copy(update={"resolved": resolved})
        (found,) = differences(tmp_path, measured.model_copy(update={"settings": settings}))
        assert found == "its arrival 0 is not that of its schedule"

    def test_arrivals_that_were_taken_out_are_seen(self, measured: Result, tmp_path: Path) -> None:
        """Also the last ones, behind which the schedule agrees, and with every number to match."""
        path = measured.side_files["requests"].path
        requests, lengths = read_requests(tmp_path / path)
        assert measured.window is not None
        span = (measured.window.start_monotonic_s, measured.window.end_monotonic_s)
        inside = [r for r in requests if span[0] <= r["scheduled"] <= span[1]]
        left = [r for r in requests if r not in inside[-3:]]
        write_requests(tmp_path, path, left, input_lengths=lengths)
        assert measured.open_load is not None
        load = open_load(left, span, objectives=OBJECTIVES, joules=None, idle_joules=None)
        found = list(differences(tmp_path, measured.model_copy(update={"open_load": load})))
        count = len(inside)
        assert f"its schedule has {count} arrivals in its window, not {count - 3}" in found

    @pytest.mark.parametrize(
        ("edit", "named"),
        [
            (lambda r: {"scheduled": r["scheduled"] + 0.01}, "is not that of its schedule"),
            (lambda r: {"token_times": r["token_times"][:-1]}, "open_load.cut"),
            (lambda _: {"fault": "refused"}, "open_load.failed"),
            (lambda r: {"ended": r["ended"] + 5.0}, "open_load.attained.good"),
            (lambda r: {"submitted": r["submitted"] + 0.01}, "open_load.lateness"),
        ],
    )
    def test_an_edited_request_is_seen(
        self, measured: Result, tmp_path: Path, edit: Callable[..., dict[str, Any]], named: str
    ) -> None:
        path = measured.side_files["requests"].path
        requests, lengths = read_requests(tmp_path / path)
        assert measured.window is not None
        start = measured.window.start_monotonic_s
        place = next(n for n, r in enumerate(requests) if r["scheduled"] > start + 5.0)
        requests[place] |= edit(requests[place])
        write_requests(tmp_path, path, requests, input_lengths=lengths)
        assert any(named in line for line in differences(tmp_path, measured))

    def test_a_flag_that_does_not_follow_is_seen(self, measured: Result, tmp_path: Path) -> None:
        plain = measured.model_copy(update={"flags": []})
        lost = list(differences(tmp_path, plain))
        codes = [flag.code for flag in measured.flags]
        assert lost == [f"its requests raise the flag {code}" for code in sorted(codes)]
