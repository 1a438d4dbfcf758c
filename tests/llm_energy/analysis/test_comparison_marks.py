"""Marks of a comparison: what limits it although it was computed."""

import pytest
from tests.llm_energy.analysis.made_comparisons import BASE, OTHER, A, B, compared, side, throughput

from llm_energy.results.metrics import THROUGHPUT
from llm_energy.results.parts import GpuSet


class TestMarks:
    def test_sides_of_different_sessions_are_compared_without_pairs_and_marked(self):
        found = throughput(side(BASE, A, session="monday"), side(OTHER, B, session="tuesday"))
        assert (found.pairs, found.marks) == (0, ["unpaired", "other_session"])
        assert found.sentence.endswith("no pairs, same machine, different sessions")
        paired = throughput(side(BASE, A), side(OTHER, B))
        assert found.low < paired.low  # drift between sessions is no longer taken out

    def test_pairs_are_kept_where_a_part_was_measured_in_another_session(self):
        later = side(OTHER, B[3:], cycles=[4, 5], session="tuesday")
        found = throughput(side(BASE, A), [*side(OTHER, B[:3]), *later])
        assert (found.pairs, found.marks) == (3, [])

    def test_over_the_nodes_of_a_cluster_a_pair_lies_on_one_of_them(self):
        def on(session, host, cycles):
            for name, values in ((BASE, A), (OTHER, B)):
                chosen = [values[cycle - 1] for cycle in cycles]
                for made in side(name, chosen, cycles=cycles, session=session):
                    changes = {"environment": made.environment.model_copy(update={"host": host})}
                    yield made.model_copy(update=changes)

        found = throughput([*on("monday", "node-a", [1, 2]), *on("tuesday", "node-b", [3, 4, 5])])
        assert (found.pairs, found.marks) == (5, [])
        assert found.ratio == pytest.approx(1.81167, abs=5e-6)
        assert found.sentence.endswith("5 pairs, same machine in each pair")

    def test_different_gpus_add_the_gain_of_both_sensors_to_energies_only(self):
        def energy(uuid):
            found, _, _ = compared(side(BASE, A, uuids=["GPU-1"]), side(OTHER, B, uuids=[uuid]))
            return {c.metric: c for c in found}

        here, there = energy("GPU-1"), energy("GPU-2")
        width = {
            name: (c["joules_per_output_token"].high)
            for name, c in (("here", here), ("there", there))
        }
        assert width["there"] > 1.05 * width["here"]
        assert there["joules_per_output_token"].marks == ["other_device"]
        assert "different devices" in there["joules_per_output_token"].sentence
        assert "same GPU" not in there["joules_per_output_token"].sentence
        assert there[THROUGHPUT.column].high == here[THROUGHPUT.column].high

    def test_another_power_limit_is_another_block(self):
        found = throughput(
            side(BASE, A, power_limit_watts=300.0), side(OTHER, B, power_limit_watts=400.0)
        )
        assert found.marks == ["unpaired", "other_power_limit"]

    def test_other_power_modes_of_the_driver_are_never_paired(self):
        def under(results, modes):
            for result in results:
                environment = result.environment.model_copy(update={"power_modes": modes})
                yield result.model_copy(update={"environment": environment})

        found = throughput(under(side(BASE, A), "EDPp multiplier 80 %"), side(OTHER, B))
        assert found.marks == ["unpaired", "other_power_mode"]

    def test_a_limit_that_the_campaign_set_is_a_factor(self):
        def set_to(results, watts):
            own = GpuSet(
                power_limit_watts=watts,
                sm_clock_mhz=None,
                memory_clock_mhz=None,
                found_power_limit_watts=650.0,
            )
            for result in results:
                place = {"gpu_set": own, "power_limit_watts": watts}
                environment = result.environment.model_copy(update=place)
                yield result.model_copy(update={"environment": environment})

        found = throughput(set_to(side(BASE, A), 700.0), set_to(side(OTHER, B), 350.0))
        assert (found.pairs, found.marks) == (5, [])
        without = side(OTHER, B, power_limit_watts=650.0)
        assert throughput(set_to(side(BASE, A), 700.0), without).pairs == 5
        changed = side(OTHER, B, power_limit_watts=500.0)
        assert "other_power_limit" in throughput(set_to(side(BASE, A), 700.0), changed).marks

    def test_tokens_of_different_tokenizers_are_marked_and_requests_are_not(self):
        def with_tokenizer(results, name):
            for result in results:
                prompts = result.prompts.model_copy(update={"sha256": name})
                spec = {**result.spec, "tokenizer": {"sha256": name}}
                yield result.model_copy(update={"prompts": prompts, "spec": spec})

        found, _, _ = compared(
            with_tokenizer(side(BASE, A), "a"), with_tokenizer(side(OTHER, B), "b")
        )
        marks = {c.metric: c.marks for c in found}
        assert marks["joules_per_output_token"] == ["other_tokenizer"]
        assert marks["output_tokens_per_second"] == ["other_tokenizer"]
        assert marks["joules_per_request"] == []
