"""A measurement in the engine process, on an engine that sleeps: warm-up, window and tail."""

import itertools
from collections.abc import Sequence

import pytest
from tests.backends.sleep.sleep import SleepEngine, output_id
from tests.worker.backend import PROMPTS
from tests.worker.sleeping import Clock, Report, clock, config, read, run, with_options

from worker.engines.base import EngineError, OnTokens, Request
from worker.harness import RequestError, measure
from worker.steady import LEAST_WAVES
from worker.workload import EngineConfig

__all__ = ["clock", "config"]


class Listing(SleepEngine):
    """Keeps the prompts of its waves."""

    def __init__(self) -> None:
        super().__init__()
        self.waves: list[list[list[int]]] = []

    def wave(self, requests: Sequence[Request], on_tokens: OnTokens) -> None:
        self.waves.append([list(request.prompt) for request in requests])
        super().wave(requests, on_tokens)


class TestWaves:
    def test_the_phases_follow_each_other_without_a_pause(self, config: EngineConfig) -> None:
        report, events = run(config)
        assert [e["name"] for e in events if e["event"] == "phase"] == ["warmup", "window", "tail"]
        warmup, window, tail = report["warmup"], report["window"], report["tail"]
        assert warmup["start"] < warmup["end"] < window["start"] < window["end"] == tail["start"]
        last_wave = [e for e in events if e["event"] == "wave"][-1]
        assert last_wave["t1"] == warmup["end"]
        assert tail["end"] - tail["start"] >= 0.05

    def test_the_window_has_whole_passes_over_the_prompts(self, config: EngineConfig) -> None:
        report, _ = run(config)
        window = report["window"]
        assert window["waves"] == 2 * window["passes"]
        assert [r["prompt"] for r in report["requests"]] == [0, 1, 2, 3] * window["passes"]
        assert [r["wave"] for r in report["requests"]] == [
            wave for wave in range(window["waves"]) for _ in range(2)
        ]

    @pytest.mark.usefixtures("clock")
    def test_the_window_lasts_at_least_as_requested(self, config: EngineConfig) -> None:
        report, _ = run(config, minimum_duration_s=0.3)
        pass_s = 2 * (0.002 + 4 * 0.001)  # two waves of five tokens
        duration_s = report["window"]["end"] - report["window"]["start"]
        assert 0.3 <= duration_s < 0.3 + 1.5 * pass_s

    def test_the_window_has_at_least_the_minimum_of_waves(self, config: EngineConfig) -> None:
        report, _ = run(config, minimum_duration_s=0.0, batch_size=4)
        assert report["window"]["waves"] == 3

    def test_the_edges_are_the_first_submit_and_the_last_token(self, config: EngineConfig) -> None:
        report, _ = run(config)
        assert report["window"]["start"] == min(r["submitted"] for r in report["requests"])
        assert report["window"]["end"] == max(r["token_times"][-1] for r in report["requests"])

    def test_every_token_of_the_window_is_counted(self, config: EngineConfig) -> None:
        report, _ = run(config)
        for request in report["requests"]:
            assert request["counted"] == len(request["token_times"]) == 5
            times = [request["submitted"], *request["token_times"]]
            assert all(a < b for a, b in itertools.pairwise(times))

    def test_the_warm_up_runs_the_waves_of_the_window(self, config: EngineConfig) -> None:
        report, events = run(config)
        waves = [e for e in events if e["event"] == "wave"]
        assert {e["tokens"] for e in waves} == {10}
        assert len(waves) == len(report["warmup"]["throughput"])
        assert report["warmup"]["throughput"] == [e["tokens"] / (e["t1"] - e["t0"]) for e in waves]

    def test_the_output_of_the_first_prompts_is_kept(self, config: EngineConfig) -> None:
        report, _ = run(config)
        assert report["sample_outputs"] == [
            {"prompt_index": i, "output_ids": [output_id(PROMPTS[i], step) for step in range(5)]}
            for i in range(3)
        ]

    def test_no_tail_where_none_is_requested(self, config: EngineConfig) -> None:
        report, _ = run(config, tail_s=0.0)
        assert report["tail"]["start"] == report["window"]["end"]

    def test_warm_up_window_and_tail_begin_with_the_first_prompts(
        self, config: EngineConfig, clock: Clock
    ) -> None:
        """Waves take 6 ms: the third one of the tail ends 18 ms after the window."""
        engine, events = Listing(), list[Report]()
        engine.load(config)
        limits = {"minimum_duration_s": 0.0, "tail_s": 0.0145, "warmup": {"cap_s": 0.0145}}
        report = measure(engine, config, read(batch_size=1, **limits), emit=events.append)
        warmup, window, tail = ([[prompt] for prompt in PROMPTS] for _ in range(3))
        assert engine.waves == [*warmup, *window, *tail[:3]]
        assert (report["window"]["waves"], report["window"]["passes"]) == (4, 1)
        starts = [report[name]["start"] for name in ("warmup", "window", "tail")]
        phases = [e["t"] for e in events if e["event"] == "phase"]
        assert phases == pytest.approx(starts, abs=1e-4)
        assert report["tail"]["end"] - report["window"]["end"] == pytest.approx(0.018, abs=1e-4)
        assert clock.now == pytest.approx(report["tail"]["end"], abs=1e-5)

    def test_an_engine_that_stops_early_is_found_out(self, config: EngineConfig) -> None:
        with pytest.raises(
            EngineError, match="prompt 0: the engine produced 4 tokens instead of 5"
        ):
            run(with_options(config, wave_fault="short"))


class TestWarmup:
    def test_the_cap_counts_from_the_end_of_the_first_wave(
        self, config: EngineConfig, clock: Clock
    ) -> None:
        clock.jitter = 0.5
        compiles = with_options(config, first_wave_extra_s=0.3)
        report, _ = run(compiles, warmup={"cap_s": 0.1, "bound": 0.0})
        warmup = report["warmup"]
        assert warmup["first_wave_s"] >= 0.3
        assert len(warmup["throughput"]) > 2
        after_first_s = warmup["end"] - warmup["start"] - warmup["first_wave_s"]
        assert 0.1 <= after_first_s < 0.12

    def test_a_capped_warm_up_says_so(self, config: EngineConfig, clock: Clock) -> None:
        clock.jitter = 0.5
        report, _ = run(config, warmup={"cap_s": 0.1, "bound": 0.0})
        assert report["warmup"]["capped"]

    def test_without_time_the_first_wave_is_the_whole_warm_up(self, config: EngineConfig) -> None:
        report, _ = run(config, warmup={"cap_s": 0.0})
        assert report["warmup"]["capped"]
        assert len(report["warmup"]["throughput"]) == 1

    def test_a_steady_warm_up_ends_before_the_cap(self, config: EngineConfig) -> None:
        wide = {"cap_s": 60.0, "bound": 10.0}
        report, _ = run(config, warmup=wide)
        assert not report["warmup"]["capped"]
        ends_s = report["warmup"]["wave_ends_s"]
        assert ends_s == sorted(ends_s)
        assert report["warmup"]["start"] + ends_s[-1] == report["warmup"]["end"]

    def test_it_waits_for_the_host_where_the_rules_require_it(self, config: EngineConfig) -> None:
        wide = {"cap_s": 60.0, "bound": 10.0}
        refusals = iter((False,) * 12)
        report, _ = run(config, warmup={**wide, "await_host": True}, host_says=refusals)
        assert list(refusals) == []  # one wave each, once the waves were steady
        assert len(report["warmup"]["throughput"]) > 12 + LEAST_WAVES
        assert not report["warmup"]["capped"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"mode": "bursts"}, "workload.mode: must be one of waves, closed, open, not 'bursts'"),
            ({"batch_size": 5}, r"workload.batch_size: must be 1 to 4 \(slots\), not 5"),
            ({"batch_size": 0}, "workload.batch_size"),
            ({"batch_size": 3}, r"count \(4\) must be a multiple of batch_size \(3\)"),
            ({"output_tokens": 0}, "must be at least 1"),
            ({"prompts": []}, "workload.prompts"),
            ({"prompts": [[1], []]}, "workload.prompts"),
        ],
    )
    def test_a_load_that_cannot_run(
        self, config: EngineConfig, changes: Report, message: str
    ) -> None:
        with pytest.raises(RequestError, match=message) as caught:
            run(config, **changes)
        assert caught.value.reason == "bad_request"

    def test_a_sequence_longer_than_the_context(self, config: EngineConfig) -> None:
        with pytest.raises(RequestError, match="take 65 tokens, the context holds 64") as caught:
            run(config, output_tokens=61)
        assert caught.value.reason == "context_exceeded"
        run(config, output_tokens=60, minimum_duration_s=0.0, warmup={"cap_s": 0.0}, tail_s=0.0)
