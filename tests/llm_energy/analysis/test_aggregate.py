"""Aggregation reads every planned result, and accounts for each that it cannot use."""

import json

import pytest
from tests.llm_energy import make_results, make_side_files
from tests.llm_energy.make_results import put_result

from llm_energy.analysis.aggregate import aggregate
from llm_energy.campaign.campaign_file import AdaptiveCycles
from llm_energy.campaign.control_experiments import Control
from llm_energy.report.methods import methods
from llm_energy.results.layout import place_of, result_path
from llm_energy.results.parts import Flag
from llm_energy.results.result import read_result
from llm_energy.system.files import write_atomically

EXPERIMENT = make_results.REFERENCE
NAMES = make_results.names_of(make_results.EXPERIMENTS)


class TestAccounting:
    def test_a_complete_campaign(self, summary_of):
        findings = summary_of().findings
        assert (findings.planned, findings.completed, findings.out_of_memory) == (12, 12, 0)
        assert findings.complete

    def test_missing_and_out_of_memory_cells_are_counted(self, summary_of):
        findings = summary_of(
            missing=[(EXPERIMENT, 2)], out_of_memory=["batch-by-length_batch4_out48"]
        ).findings
        assert (findings.planned, findings.completed, findings.out_of_memory) == (12, 8, 3)
        assert [gap.reason for gap in findings.missing] == ["not measured"]
        assert findings.missing[0].path.endswith("cycle-02.json")
        assert not findings.complete

    def test_nothing_measured_yet_is_no_error(self, summary_of):
        every = [(name, cycle) for name in make_results.EXPERIMENTS for cycle in (1, 2, 3)]
        summary = summary_of(missing=every)
        assert (summary.findings.completed, len(summary.findings.missing)) == (0, 12)
        assert len(summary.measurements) == len(summary.experiments) == 0

    def test_results_that_are_not_planned_are_left_out(self, tmp_path):
        planned = make_results.make_campaign(tmp_path)
        summary = aggregate(tmp_path, planned=planned[:4], design=make_results.design())
        assert len(summary.measurements) == 4


class TestChecks:
    @pytest.fixture
    def only(self, tmp_path):
        """Aggregates a campaign of one result, written under the path given."""

        def make(result, path):
            put_result(tmp_path / path, result)
            return aggregate(tmp_path, planned=[path], design=make_results.design()).findings

        return make

    def test_a_result_under_another_experiments_path_is_not_used(self, only):
        result = make_results.make_result()
        findings = only(result, result_path("0123456789ab", 1))
        assert (findings.completed, len(findings.unusable)) == (0, 1)
        assert "its path says 0123456789ab" in findings.unusable[0].reason

    def test_a_result_has_the_name_that_the_campaign_gives_its_specification(self, tmp_path):
        planned = make_results.make_campaign(tmp_path, missing=[(EXPERIMENT, 2)])
        renamed = {spec: f"new-{name}" for spec, name in NAMES.items()}
        design = make_results.design(names=renamed, reference=f"new-{EXPERIMENT}")
        summary = aggregate(tmp_path, planned=planned, design=design)
        assert set(summary.measurements["experiment"]) == set(renamed.values())
        assert {count.experiment for count in summary.findings.counts} == set(renamed.values())
        assert {c.base for c in summary.findings.comparisons} == {f"new-{EXPERIMENT}"}

    def test_a_result_whose_spec_was_edited_is_not_used(self, only):
        result = make_results.make_result()
        edited = result.model_copy(update={"spec": {**result.spec, "model": "another"}})
        findings = only(edited, make_results.path_of(result))
        assert "its hash of its spec is" in findings.unusable[0].reason

    def test_a_file_that_is_no_result_is_not_used(self, tmp_path):
        path = result_path("0123456789ab", 1)
        write_atomically(tmp_path / path, b'{"schema_version": 1}')
        findings = aggregate(tmp_path, planned=[path], design=make_results.design()).findings
        assert "not a result" in findings.unusable[0].reason

    def test_side_files_that_are_absent_or_changed_are_gaps(self, only, tmp_path):
        result = make_side_files.with_side_files(tmp_path, make_results.make_result())
        path = make_results.path_of(result)
        side_file = tmp_path / result.side_files["requests"].path
        assert only(result, path).side_file_gaps == []
        side_file.write_bytes(b"other")
        assert [gap.reason for gap in only(result, path).side_file_gaps] == [
            "was changed after it was measured"
        ]
        side_file.unlink()
        findings = only(result, path)
        assert [gap.reason for gap in findings.side_file_gaps] == ["is not there"]
        assert findings.completed == 1  # a gap does not void the numbers


class TestFacts:
    def test_failed_attempts_are_kept_though_a_later_one_succeeded(self, tmp_path):
        planned = make_results.make_campaign(tmp_path)
        record = tmp_path / planned[0].replace("measurements", "failures")
        write_atomically(
            record.with_name("cycle-01.attempt-2.json"),
            json.dumps({"reason": "backend_lost", "message": "it went away"}).encode(),
        )
        findings = aggregate(tmp_path, planned=planned, design=make_results.design()).findings
        (failure,) = findings.failures
        assert (failure.cycle, failure.attempt, failure.reason) == (1, 2, "backend_lost")
        assert failure.experiment == NAMES[place_of(planned[0]).spec_hash]

    def test_events_of_runs_are_listed(self, tmp_path):
        planned = make_results.make_campaign(tmp_path)
        event = {"time": "2026-11-24T09:00:00Z", "kind": "backend_restarted"}
        event |= {"backend": "llamacpp", "reason": "its process is dead"}
        record = {"run_id": "r", "events": [event]}
        write_atomically(tmp_path / "runs/r.json", json.dumps(record).encode())
        (found,) = aggregate(
            tmp_path, planned=planned, design=make_results.design()
        ).findings.events
        assert found.kind == "backend_restarted"
        assert found.detail == "Backend llamacpp was restarted: its process is dead."

    @pytest.mark.parametrize("content", [b'{"reason": "backe', b"", b"\xff", b"[]", b"{}"])
    def test_a_damaged_record_of_a_failure_is_reported_and_stops_nothing(self, tmp_path, content):
        planned = make_results.make_campaign(tmp_path)
        record = tmp_path / planned[0].replace("measurements", "failures")
        write_atomically(record.with_name("cycle-01.attempt-1.json"), content)
        findings = aggregate(tmp_path, planned=planned, design=make_results.design()).findings
        (failure,) = findings.failures
        assert (failure.cycle, failure.attempt) == (1, 1)
        assert failure.reason == "record_unusable"
        assert "Its record is damaged" in failure.message
        assert findings.complete

    @pytest.mark.parametrize("content", [b'{"run_id"', b"{}", b'{"run_id": "r", "events": [{}]}'])
    def test_a_damaged_record_of_a_run_is_a_gap_and_stops_nothing(self, tmp_path, content):
        planned = make_results.make_campaign(tmp_path)
        write_atomically(tmp_path / "runs/r.json", content)
        findings = aggregate(tmp_path, planned=planned, design=make_results.design()).findings
        assert [gap.path for gap in findings.side_file_gaps] == ["runs/r.json"]
        assert findings.complete

    def test_flags_are_counted_with_their_meaning(self, summary_of):
        (use,) = summary_of(capped=[(EXPERIMENT, 1), (EXPERIMENT, 3)]).findings.flags
        assert (use.code, use.measurements) == ("warmup_capped", 2)
        assert use.meaning

    def test_a_flag_of_two_devices_is_one_flagged_measurement(self, tmp_path):
        flags = [Flag(code="contended", message=f"GPU-{number}: process 1") for number in (0, 1)]
        result = make_results.make_result(flags=flags)
        path = make_results.path_of(result)
        put_result(tmp_path / path, result)
        (use,) = aggregate(tmp_path, planned=[path], design=make_results.design()).findings.flags
        assert (use.measurements, use.example) == (1, "GPU-0: process 1")
        assert "Other processes" in use.meaning

    def test_reasons_for_no_energy_are_counted_with_their_meaning(self, summary_of):
        (reason,) = summary_of().findings.energy_reasons
        assert (reason.code, reason.measurements) == ("no_meter", 12)
        assert reason.meaning
        assert summary_of(metered=True).findings.energy_reasons == []

    def test_warm_up_is_reported_relative_to_the_window(self, summary_of):
        traces = summary_of().findings.warmups
        assert len(traces) == 12
        assert all(trace.throughput_relative[-1] == pytest.approx(1, abs=0.1) for trace in traces)

    def test_drift_needs_repetitions(self, summary_of):
        assert summary_of(cycles=1).findings.drift is None
        drift = summary_of(cycles=3).findings.drift
        assert drift.low < drift.change < drift.high


class TestCounts:
    def test_every_planned_cycle_of_an_experiment_is_accounted_for(self, summary_of):
        lost = "batch-by-length_batch4_out48"
        findings = summary_of(missing=[(EXPERIMENT, 2)], out_of_memory=[(lost, 1)]).findings
        counts = {each.experiment: each for each in findings.counts}
        assert len(counts) == 4
        for each in counts.values():
            assert each.planned == 3
            found = each.completed + each.out_of_memory + each.missing + each.unusable
            assert found == each.planned
        assert (counts[EXPERIMENT].missing, counts[EXPERIMENT].completed) == (1, 2)
        assert (counts[lost].out_of_memory, counts[lost].energy_invalid) == (1, 0)

    def test_metered_in_vain_is_invalid_and_no_meter_is_not(self, tmp_path):
        planned = make_results.make_campaign(tmp_path)
        result = read_result(tmp_path / planned[0])
        lost = result.energy.model_copy(update={"reason": "gpu_lost"})
        put_result(tmp_path / planned[0], result.model_copy(update={"energy": lost}))
        findings = aggregate(tmp_path, planned=planned, design=make_results.design()).findings
        assert sum(each.energy_invalid for each in findings.counts) == 1
        assert sum(each.completed for each in findings.counts) == 12


class TestOutliers:
    def test_a_cycle_far_from_the_others_is_flagged_and_stays_in_every_number(self, tmp_path):
        planned = []
        for cycle, value in enumerate([0.50, 0.52, 0.49, 0.51, 0.53, 0.80], start=1):
            result = make_results.make_result(
                cycle=cycle, position=cycle, output_tokens_per_second=value
            )
            planned.append(make_results.path_of(result))
            put_result(tmp_path / planned[-1], result)
        summary = aggregate(tmp_path, planned=planned, design=make_results.design())
        (use,) = summary.findings.flags
        assert (use.code, use.measurements) == ("outlier", 1)
        assert use.example == "Throughput: +56.9% from the others"
        row = summary.experiments.set_index("metric").loc["output_tokens_per_second"]
        assert (row["n"], row["outlying_cycle"]) == (6, 6)
        assert summary.measurements["flags"].tolist() == [""] * 5 + ["outlier"]

    def test_drift_of_energy_needs_energy(self, summary_of):
        assert summary_of().findings.energy_drift is None
        assert summary_of(metered=True).findings.energy_drift.observations == 12


class TestTwoStages:
    """Nine cycles, the first three of which decided how many there are, or none did."""

    @pytest.fixture
    def both(self, tmp_path):
        lengths = {f"out{n}": {"output_tokens": n} for n in (16, 48, 96)}
        lengths["out16.a_a"] = lengths["out16"]
        planned = make_results.make_campaign(tmp_path, experiments=lengths, cycles=9, metered=True)
        adaptive = AdaptiveCycles(first=3, maximum=9)
        controls = (Control(kind="a_a", experiment="out16.a_a", base="out16"),)
        return [
            aggregate(
                tmp_path,
                planned=planned,
                design=make_results.design(
                    cycles=9, adaptive=given, reference="out16", controls=controls
                ),
            )
            for given in (adaptive, None)
        ]

    def test_every_interval_rests_on_the_spread_of_the_first_cycles(self, both):
        decided, given = both
        assert set(decided.experiments["interval_rule"]) == {"two_stage"}
        assert set(given.experiments["interval_rule"]) == {"t"}
        for one, other in zip(decided.findings.decode, given.findings.decode, strict=True):
            assert one.joules_per_output_token == other.joules_per_output_token
            assert (one.low, one.total_low) != (other.low, other.total_low)
        for name in ("comparisons", "controls"):
            pairs = zip(getattr(decided.findings, name), getattr(given.findings, name), strict=True)
            for one, other in pairs:
                assert one.ratio == other.ratio
                assert one.low != other.low

    def test_no_total_interval_is_narrower_than_its_repeatability_interval(self, both):
        for summary in both:
            table = summary.experiments.dropna(subset=["total_low"])
            assert len(table) > 0
            assert (table["total_low"] <= table["t_low"]).all()
            assert (table["total_high"] >= table["t_high"]).all()

    def test_the_methods_name_the_rule(self, both):
        decided, given = (dict(methods(summary))["Statistics"] for summary in both)
        assert "the spread of the first 3 alone (Stein)" in decided
        assert "Stein" not in given
