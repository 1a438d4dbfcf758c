"""Fronts, energy of prefill and decode, and outputs, from the results of a campaign."""

import pytest
from tests.llm_energy import make_results
from tests.llm_energy.make_results import put_result

from llm_energy.analysis.aggregate import aggregate
from llm_energy.results.parts import SampleOutput

LENGTHS = {f"sweep_out{length}": {"output_tokens": length} for length in (1, 16, 48, 96)}


@pytest.fixture
def findings_of(tmp_path):
    """Aggregates these results; the first experiment is the reference."""

    def make(results):
        planned = [make_results.path_of(result) for result in results]
        for path, result in zip(planned, results, strict=True):
            put_result(tmp_path / path, result)
        design = make_results.design(reference=results[0].experiment)
        return aggregate(tmp_path, planned=planned, design=design)

    return make


class TestFronts:
    def test_energy_is_traded_for_throughput_and_for_latencies(self, summary_of):
        found = {front.metric: front for front in summary_of(metered=True).findings.fronts}
        assert set(found) == {
            "output_tokens_per_second",
            "time_to_first_token_p50_s",
            "inter_token_latency_p50_s",
        }
        front = found["output_tokens_per_second"]
        assert (front.against, front.energy_scope) == ("joules_per_output_token", "gpu_board")
        assert len(front.points) == 4
        standing = {point.experiment: point for point in front.points}
        # The made law: throughput grows with the batch faster than power.
        assert standing["batch-by-length_batch4_out48"].status == "non_dominated"
        assert standing["batch-by-length_batch1_out16"].status == "dominated"
        assert standing["batch-by-length_batch1_out16"].dominated_by is not None

    def test_without_energy_throughput_is_traded_for_latency(self, summary_of):
        fronts = summary_of().findings.fronts
        assert {front.against for front in fronts} == {"output_tokens_per_second"}
        assert [front.metric for front in fronts] == [
            "time_to_first_token_p50_s",
            "inter_token_latency_p50_s",
        ]
        assert all(front.energy_scope is None for front in fronts)

    def test_scopes_stay_on_fronts_of_their_own(self, findings_of):
        results = []
        for position, name in enumerate(("a", "b", "c", "d")):
            result = make_results.make_result(
                name, position=position, metered=True, settings={"batch_size": position + 1}
            )
            scope = "gpu_board" if name in "ab" else "cpu_package"
            energy = result.energy.model_copy(update={"scope": scope})
            results.append(result.model_copy(update={"energy": energy}))
        fronts = findings_of(results).findings.fronts
        by_scope = {front.energy_scope: {p.experiment for p in front.points} for front in fronts}
        assert by_scope == {"gpu_board": {"a", "b"}, "cpu_package": {"c", "d"}}


class TestPrefillAndDecode:
    @pytest.fixture
    def summary(self, summary_of):
        return summary_of(metered=True, experiments=LENGTHS, reference="sweep_out16")

    def test_prefill_comes_from_one_output_token_alone(self, summary):
        table = summary.measurements.set_index("experiment")
        column = table["prefill_joules_per_input_token"]
        assert column.notna().groupby(level=0).all().to_dict() == {
            name: name == "sweep_out1" for name in LENGTHS
        }
        row = table.loc["sweep_out1"].iloc[0]
        expected = row["energy_joules"] / row["input_tokens"]
        assert row["prefill_joules_per_input_token"] == pytest.approx(expected)
        metrics = summary.experiments.set_index("metric")
        assert metrics.loc["prefill_joules_per_input_token", "n"] == 3

    def test_decode_is_the_slope_over_all_lengths_with_its_interval(self, summary):
        (found,) = summary.findings.decode
        assert found.output_lengths == [1, 16, 48, 96]
        assert found.experiments == list(LENGTHS)
        assert found.cycles == 3
        assert found.low < found.joules_per_output_token < found.high
        assert found.total_low < found.low
        assert found.energy_scope == "gpu_board"

    def test_two_lengths_are_no_slope(self, summary_of):
        assert summary_of(metered=True).findings.decode == []


class TestOutputs:
    def results(self, *outputs):
        for position, ids in enumerate(outputs):
            plain = make_results.make_result(
                f"e{position}", position=position, settings={"batch_size": position + 1}
            )
            kept = [SampleOutput(prompt_index=0, output_ids=ids)]
            yield plain.model_copy(update={"sample_outputs": kept})

    def test_the_share_equal_to_the_reference_stands_in_the_table(self, findings_of):
        summary = findings_of(list(self.results([1, 2, 3, 4], [1, 2, 9, 4])))
        assert summary.measurements["output_equal_share"].tolist() == [1.0, 0.5]
        assert summary.findings.flags == []

    def test_other_prompts_have_no_reference(self, findings_of):
        first, second = self.results([1, 2], [1, 2])
        prompts = second.prompts.model_copy(update={"sha256": "f" * 64})
        table = findings_of([first, second.model_copy(update={"prompts": prompts})]).measurements
        assert table["output_equal_share"].isna().tolist() == [False, True]

    def test_outputs_that_repeat_themselves_are_suspect(self, findings_of):
        summary = findings_of(list(self.results(list(range(16)), [7] * 16)))
        (use,) = summary.findings.flags
        assert (use.code, use.measurements) == ("output_suspect", 1)
        assert use.example == "92% of 4-grams repeated (limit 50%)"
        assert summary.measurements["output_repeated_share"].tolist() == pytest.approx([0, 12 / 13])

    def test_out_of_memory_has_no_output_to_look_at(self, findings_of):
        table = findings_of([make_results.make_result("e", out_of_memory=True)]).measurements
        assert table[["output_equal_share", "output_repeated_share"]].isna().all(axis=None)
