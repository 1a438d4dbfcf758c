"""Loads and measurements in the engine process of a real supervisor, and their deadlines."""

import os
import signal
from typing import Any

import pytest
from tests.waiting import wait_until
from tests.worker.backend import Backend, Peer, group_members, workload
from tests.worker.engine_process import engine_is_gone, faulty, supervisor_has_no_engine

from worker.child import LOG_LIMIT_BYTES
from worker.engine_memory import oom_kills
from worker.protocol import PROTOCOL

Fields = dict[str, Any]


class TestLoad:
    def test_starts_an_engine_process(self, peer: Peer, sleep_engine: Fields) -> None:
        loaded = peer.load(**sleep_engine)
        assert loaded["event"] == "loaded"
        assert not loaded["reused"]
        assert loaded["engine_version"] == "1.0"
        assert loaded["observed"] == {"model_bytes": 4, "slots": 2, "context_tokens": 64}
        assert loaded["load_started"] < loaded["load_started"] + loaded["load_s"] < loaded["t"]
        assert loaded["engine_jobs"] == 0
        assert loaded["engine_pid"] in group_members(loaded["engine_pid"])

    def test_the_same_key_reuses_the_process(self, peer: Peer, sleep_engine: Fields) -> None:
        first = peer.load(**sleep_engine)
        peer.measure()
        again = peer.load(**sleep_engine)
        assert again["reused"]
        assert again["load_s"] is None
        assert again["load_started"] is None
        assert again["engine_pid"] == first["engine_pid"]
        assert again["engine_age_s"] > first["engine_age_s"]
        assert again["engine_jobs"] == 1
        assert again["observed"] == first["observed"]

    def test_another_key_replaces_the_process(self, peer: Peer, sleep_engine: Fields) -> None:
        first = peer.load(**sleep_engine)
        second = peer.load(key="another", **sleep_engine)
        assert not second["reused"]
        assert second["engine_pid"] != first["engine_pid"]
        assert second["engine_jobs"] == 0
        engine_is_gone(first["engine_pid"])

    def test_the_same_key_with_other_settings_is_not_reused(
        self, peer: Peer, sleep_engine: Fields
    ) -> None:
        peer.load(**sleep_engine)
        assert not peer.load(**{**sleep_engine, "slots": 1})["reused"]

    def test_an_engine_that_died_meanwhile_is_replaced(
        self, peer: Peer, sleep_engine: Fields
    ) -> None:
        first = peer.load(**sleep_engine)
        os.kill(first["engine_pid"], signal.SIGTERM)
        engine_is_gone(first["engine_pid"])
        supervisor_has_no_engine(peer)
        assert not peer.load(**sleep_engine)["reused"]

    @pytest.mark.parametrize(
        ("fault", "reason", "message"),
        [
            ("raise", "engine_error", "RuntimeError: the sleep engine was told to raise"),
            (
                "oom",
                "out_of_memory",
                "MemoryError: the sleep engine was told to run out of memory (requested: "
                "context_tokens 64, slots 2, dtype auto, load_fault oom)",
            ),
            ("die", "engine_died", "the engine process ended with exit code 7"),
            ("segfault", "engine_died", "the engine process was ended by SIGSEGV"),
        ],
    )
    def test_a_failure_is_reported_and_leaves_no_engine(
        self, peer: Peer, sleep_engine: Fields, fault: str, reason: str, message: str
    ) -> None:
        error = peer.load(**faulty(sleep_engine, load_fault=fault))
        assert error["event"] == "error"
        assert (error["reason"], error["message"]) == (reason, message)
        assert error["phase"] == "load"
        assert f"sleep engine: fault {fault}" in error["log_tail"]
        assert peer.ask("hello", protocol=PROTOCOL)["engine"] is None

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"backend": "nothing"}, "there is no backend 'nothing'"),
            ({"options": {"sped": 1}}, "option sped: unknown"),
            ({"options": {"load_s": "1"}}, "option load_s: must be float"),
            ({"dtype": "int3"}, "dtype: must be one of auto, float32"),
        ],
    )
    def test_settings_that_the_engine_does_not_have(
        self, peer: Peer, sleep_engine: Fields, change: Fields, message: str
    ) -> None:
        error = peer.load(**{**sleep_engine, **change})
        assert (error["reason"], error["message"]) == ("engine_error", message)

    @pytest.mark.parametrize("name", ["../sleep", "base", "", "Sleep", "a b"])
    def test_what_is_no_backends_name(self, peer: Peer, sleep_engine: Fields, name: str) -> None:
        error = peer.load(**{**sleep_engine, "backend": name})
        assert error["reason"] == "bad_request"
        assert error["message"] == f"load.engine.backend: {name!r} is no name of a backend"

    def test_a_model_that_is_not_there(self, peer: Peer, sleep_engine: Fields) -> None:
        error = peer.load(**{**sleep_engine, "model_path": "/nowhere"})
        assert error["reason"] == "engine_error"
        assert "/nowhere" in error["message"]

    def test_a_deadline_kills_an_engine_that_ignores_sigterm(
        self, peer: Peer, sleep_engine: Fields
    ) -> None:
        error = peer.load(deadline_s=0.5, **faulty(sleep_engine, load_fault="hang", child=True))
        assert error["reason"] == "deadline_exceeded"
        assert error["message"] == "not done within 0.5 s: the engine process was killed"
        assert peer.load(**sleep_engine)["event"] == "loaded"


class TestMeasure:
    def test_a_whole_measurement(self, peer: Peer, sleep_engine: Fields) -> None:
        peer.load(**sleep_engine)
        peer.send("measure", deadline_s=60, workload=workload())
        *events, measured = peer.answer()
        names = [event.get("name", event["event"]) for event in events]
        waves = len(measured["warmup"]["throughput"])
        assert names == ["warmup", *["wave"] * waves, "window", "tail"]
        assert measured["event"] == "measured"
        assert set(measured["warmup"]) == {
            *("start", "end", "first_wave_s", "throughput", "wave_ends_s", "capped"),
        }
        assert set(measured["window"]) == {"start", "end", "waves", "passes"}
        assert set(measured["tail"]) == {"start", "end"}
        assert set(measured["requests"][0]) == {
            *("prompt", "wave", "submitted", "token_times", "counted")
        }

    def test_without_an_engine(self, peer: Peer) -> None:
        assert peer.measure()["reason"] == "no_engine"

    @pytest.mark.parametrize(
        ("fault", "reason", "message"),
        [
            ("raise", "engine_error", "RuntimeError: the sleep engine was told to raise"),
            (
                "oom",
                "out_of_memory",
                "MemoryError: the sleep engine was told to run out of memory (requested: "
                "batch_size 2, 9 tokens in the longest sequence)",
            ),
            ("die", "engine_died", "the engine process ended with exit code 7"),
            ("segfault", "engine_died", "the engine process was ended by SIGSEGV"),
            ("short", "engine_error", "prompt 0: the engine produced 4 tokens instead of 5"),
        ],
    )
    def test_a_failure_in_the_window_ends_the_engine(
        self, peer: Peer, sleep_engine: Fields, fault: str, reason: str, message: str
    ) -> None:
        # With a cap of 0 the warm-up is one wave.
        after = 0 if fault == "short" else 2
        options = {"wave_fault": fault, "fault_after_waves": after, "child": True}
        loaded = peer.load(**faulty(sleep_engine, **options))
        error = peer.measure(warmup={"cap_s": 0.0})
        assert (error["reason"], error["message"]) == (reason, message)
        assert error["phase"] == ("first_wave" if fault == "short" else "window")
        assert f"sleep engine: fault {fault}" in error["log_tail"]
        engine_is_gone(loaded["engine_pid"])
        assert peer.measure()["reason"] == "no_engine"

    def test_a_foreign_sigkill_is_out_of_memory_only_if_the_kernel_did_it(
        self, peer: Peer, sleep_engine: Fields
    ) -> None:
        peer.load(**faulty(sleep_engine, wave_fault="kill"))
        kernel_speaks = oom_kills() is not None
        assert peer.measure()["reason"] == ("engine_died" if kernel_speaks else "out_of_memory")

    def test_an_engine_that_died_between_load_and_measurement(
        self, peer: Peer, sleep_engine: Fields
    ) -> None:
        loaded = peer.load(**sleep_engine)
        os.kill(loaded["engine_pid"], signal.SIGTERM)
        engine_is_gone(loaded["engine_pid"])
        error = peer.measure()
        assert error["reason"] == "engine_died"
        assert error["message"] == "the engine process was ended by SIGTERM"

    def test_a_deadline_kills_the_whole_process_group(
        self, peer: Peer, sleep_engine: Fields
    ) -> None:
        options = {"wave_fault": "hang", "fault_after_waves": 2, "child": True}
        loaded = peer.load(**faulty(sleep_engine, **options))
        assert len(group_members(loaded["engine_pid"])) == 3  # engine, its child, its guard
        error = peer.measure(deadline_s=4.0, warmup={"cap_s": 0.0})
        assert (error["reason"], error["phase"]) == ("deadline_exceeded", "window")
        assert error["log_tail"][-1] == "sleep engine: fault hang"
        assert group_members(loaded["engine_pid"]) == []

    def test_the_first_wave_has_a_deadline_of_its_own(
        self, peer: Peer, sleep_engine: Fields
    ) -> None:
        peer.load(**faulty(sleep_engine, wave_fault="hang"))
        error = peer.measure(warmup={"first_wave_deadline_s": 0.5})
        assert (error["reason"], error["phase"]) == ("deadline_exceeded", "first_wave")
        assert error["message"] == "not done within 0.5 s: the engine process was killed"

    def test_the_first_waves_deadline_ends_with_it(self, peer: Peer, sleep_engine: Fields) -> None:
        peer.load(**sleep_engine)
        measured = peer.measure(minimum_duration_s=3.5, warmup={"first_wave_deadline_s": 3.0})
        assert measured["event"] == "measured"

    def test_an_engine_that_floods_its_output_is_measured(
        self, backend: Backend, peer: Peer, sleep_engine: Fields
    ) -> None:
        peer.load(**faulty(sleep_engine, wave_fault="flood"))
        assert peer.measure()["event"] == "measured"
        assert "flood 19999" in (backend.logs / "sleep.engine.log").read_text()

    def test_a_log_that_has_become_too_long_starts_anew(
        self, backend: Backend, peer: Peer, sleep_engine: Fields
    ) -> None:
        peer.load(**faulty(sleep_engine, wave_fault="flood"))
        log = backend.logs / "sleep.engine.log"
        os.truncate(log, LOG_LIMIT_BYTES + 1)
        wait_until(lambda: log.stat().st_size == 0, what="the log starts anew")
        peer.measure(warmup={"cap_s": 0.0}, minimum_duration_s=0.0, tail_s=0.0)
        assert 0 < log.stat().st_size < LOG_LIMIT_BYTES

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [({"output_tokens": 100}, "context_exceeded"), ({"batch_size": 3}, "bad_request")],
    )
    def test_a_load_that_does_not_fit_keeps_the_engine(
        self, peer: Peer, sleep_engine: Fields, changes: Fields, reason: str
    ) -> None:
        peer.load(**sleep_engine)
        assert peer.measure(**changes)["reason"] == reason
        assert peer.load(**sleep_engine)["reused"]
        assert peer.measure()["event"] == "measured"

    def test_the_hosts_verdict_ends_the_warm_up(self, peer: Peer, sleep_engine: Fields) -> None:
        peer.load(**sleep_engine)
        wide = {"cap_s": 600.0, "bound": 10.0}
        load = workload(warmup={**wide, "await_host": True})
        peer.send("measure", deadline_s=60, workload=load)
        for _ in range(20):  # steady by its waves long before, but the host has not spoken
            peer.wait_for(event="wave")
        peer.send("steady", value=True)
        measured = peer.answer()[-1]
        assert not measured["warmup"]["capped"]
        assert len(measured["warmup"]["throughput"]) >= 20
