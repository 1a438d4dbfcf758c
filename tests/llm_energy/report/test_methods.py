"""The methods section is made from what was done."""

import pytest
from tests.llm_energy import make_results
from tests.llm_energy.make_results import put_result

from llm_energy.analysis.aggregate import aggregate
from llm_energy.report.environment_section import differences, environment
from llm_energy.report.estimates import without_value
from llm_energy.report.methods import methods
from llm_energy.results.metrics import THROUGHPUT, TTFT

OTHER_IMAGE = {"image_digest": "other"}


def text_of(summary):
    return dict(methods(summary))


def test_design_gives_numbers_order_and_seed(summary_of):
    design = text_of(summary_of())["Design"]
    assert design.startswith("4 experiments × 3 cycles = 12 measurements, of which 12 were made")
    assert "seed 2026" in design


def test_durations_are_those_requested_and_those_seen(summary_of):
    summary = summary_of()
    window = text_of(summary)["Window"]
    assert "At least 3 s was required" in window
    assert "idled with its model loaded for 2 s" in window
    assert "ran on, uncounted, for 1 s" in window


def test_a_server_that_does_not_stream_is_named_where_its_latencies_are_missing(tmp_path):
    served = make_results.make_result("served", position=1, settings={"batch_size": 4})
    results = [make_results.make_result(), served]
    unknown = dict.fromkeys(("time_to_first_token_s", "inter_token_latency_s"))
    reason = {"token_latency_reason": "not_streamed"}
    whole = served.latency.model_copy(update=unknown | reason)
    results[1] = served.model_copy(update={"latency": whole})
    for result in results:
        put_result(tmp_path / make_results.path_of(result), result)
    planned = list(map(make_results.path_of, results))
    summary = aggregate(tmp_path, planned=planned, design=make_results.design())
    sentence = "1 of 2 measurements, of servers that gave each answer whole, have no time to first"
    assert sentence in text_of(summary)["Speed and latency"]
    assert [why for _, why in without_value(summary, TTFT)] == ["not streamed"]
    assert without_value(summary, THROUGHPUT) == []


def test_capped_warm_ups_are_counted(summary_of):
    text = text_of(summary_of(capped=[(make_results.REFERENCE, 1)]))["Warm-up"]
    assert "was steady, or their time limit came" in text
    assert "11 of 12 were shown to be steady; 1 of 12 warm-ups met the time limit of 5 s" in text


def test_the_meaning_of_steady_is_that_of_the_measuring_protocol(summary_of):
    assert "a 90 % interval of its trend" in text_of(summary_of())["Warm-up"]
    capped = [(make_results.REFERENCE, 1)]
    text = text_of(summary_of(protocol=3, capped=capped))["Warm-up"]
    assert "the bias of the window's mean against the steady mean is bounded" in text
    assert "bounds were 1.50 to 6.20 %" in text
    assert "only whether a drift was seen (none in 0 of 12)" in text
    assert "11 of 12 were shown to be steady" in text


def test_exact_output_lengths_are_claimed_only_where_they_hold(tmp_path, summary_of):
    claim = "exactly the output length"
    assert claim in text_of(summary_of())["Load"]
    result = make_results.make_result()
    short = result.tokens.model_copy(update={"output": result.tokens.output - 1})
    path = make_results.path_of(result)
    put_result(tmp_path / path, result.model_copy(update={"tokens": short}))
    summary = aggregate(tmp_path, planned=[path], design=make_results.design(cycles=1))
    assert claim not in text_of(summary)["Load"]


def test_measurements_of_several_hosts_are_stated_to_be(tmp_path):
    planned = []
    for cycle, host in enumerate(("node-a", "node-b"), start=1):
        result = make_results.make_result(cycle=cycle)
        changes = {"environment": result.environment.model_copy(update={"host": host})}
        planned.append(make_results.path_of(result))
        put_result(tmp_path / planned[-1], result.model_copy(update=changes))
    summary = aggregate(tmp_path, planned=planned, design=make_results.design(cycles=2))
    assert "They were made on 2 hosts" in " ".join(text_of(summary).values())


def placed(tmp_path, *places):
    """Processes of a campaign with results of (experiment, cycle, session, GPUs)."""
    planned = []
    for position, (name, cycle, session, gpus) in enumerate(places):
        result = make_results.make_result(
            name, cycle=cycle, position=position, settings={"batch_size": 1 + (name != "a")}
        )
        there = {"session_id": session, "device_uuids": gpus.split()}
        changes = {"environment": result.environment.model_copy(update=there)}
        planned.append(make_results.path_of(result))
        put_result(tmp_path / planned[-1], result.model_copy(update=changes))
    summary = aggregate(tmp_path, planned=planned, design=make_results.design(cycles=2))
    return text_of(summary)["Processes"]


def test_cycles_that_lie_in_several_sessions_are_counted(tmp_path):
    whole = placed(tmp_path / "whole", ("a", 1, "s1", "G1"), ("b", 1, "s1", "G1 G2"))
    assert "sessions" not in whole
    same = placed(tmp_path / "same", ("a", 1, "s1", "G1"), ("b", 1, "s2", "G1 G2"))
    assert "Those of 1 cycle lie in several sessions, and measurements of two sessions" in same
    places = (
        ("a", 1, "s1", "G1"),
        ("b", 1, "s2", "G2"),
        ("a", 2, "s1", "G1"),
        ("b", 2, "s3", "G1"),
    )
    other = placed(tmp_path / "other", *places)
    assert "Those of 2 cycles lie in several sessions, of 1 cycle on several devices, and" in other


def test_energy_names_method_scope_and_limits_or_the_reason(summary_of):
    assert "no_meter" in text_of(summary_of())["Energy"]
    energy = text_of(summary_of(metered=True))["Energy"]
    assert "scope gpu_board, method counter" in energy
    assert "within ±5 % of what it reads and ±5 W" in energy


def test_nothing_measured_leaves_the_design_alone(summary_of):
    every = [(name, 1) for name in make_results.EXPERIMENTS]
    assert list(text_of(summary_of(cycles=1, missing=every))) == ["Design"]


def test_where_measurements_differ_the_environment_says_how_many_share_each_value(tmp_path):
    planned = []
    for cycle, version in ((1, "1.0"), (2, "1.0"), (3, "2.0")):
        result = make_results.make_result(cycle=cycle, position=cycle)
        changed = result.environment.model_copy(update={"engine_version": version})
        planned.append(make_results.path_of(result))
        put_result(tmp_path / planned[-1], result.model_copy(update={"environment": changed}))
    summary = aggregate(tmp_path, planned=planned, design=make_results.design())
    lines = {line.name: line.values for line in dict(environment(summary))["Backend llamacpp"]}
    assert lines["Engine version"] == ["1.0 (2 measurements)", "2.0 (1 measurement)"]
    assert lines["Runtime"] == ["process on the host, without an image"]


class TestDifferences:
    @pytest.fixture
    def sentences(self, tmp_path):
        """Describe a campaign whose second cycle was measured in another environment."""

        def make(first=None, **changes):
            planned = []
            for cycle in (1, 2):
                result = make_results.make_result(cycle=cycle, position=cycle)
                update = changes if cycle == 2 else first or {}
                changed = result.environment.model_copy(update=update)
                planned.append(make_results.path_of(result))
                result = result.model_copy(update={"environment": changed})
                put_result(tmp_path / planned[-1], result)
            design = make_results.design(cycles=2)
            return differences(aggregate(tmp_path, planned=planned, design=design))

        return make

    def test_the_same_everywhere_needs_no_word(self, sentences):
        assert sentences() == []

    def test_a_container_and_a_process_of_one_backend(self, sentences):
        (sentence,) = sentences(runtime="docker", image_digest="sha256:1")
        assert "Backend llamacpp was measured with 2 runtimes:" in sentence

    def test_two_images_of_one_backend(self, sentences):
        (sentence,) = sentences(runtime="docker", image_digest="sha256:1", first=OTHER_IMAGE)
        assert "2 runtimes and 2 images" in sentence

    def test_two_versions_of_the_measuring_code(self, sentences):
        (sentence,) = sentences(code_digest="9" * 64)
        assert sentence.startswith("The measuring code changed within the campaign (2 digests)")

    def test_two_backends_may_well_have_two_images(self, summary_of):
        pair = {f"pair_{name}": {"backend": name} for name in ("llamacpp", "vllm")}
        assert differences(summary_of(experiments=pair, reference=None)) == []
