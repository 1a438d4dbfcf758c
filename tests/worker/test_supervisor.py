"""The supervisor with its engine process, on real processes and sockets.

Nothing may be left of an engine, whatever ends: the engine, the client, the supervisor, the lease.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.worker.backend import Backend, Peer, group_members, wait_until, workload

from worker.child import LOG_LIMIT_BYTES
from worker.engine_memory import oom_kills
from worker.protocol import PROTOCOL
from worker.supervisor import lease_expired

Fields = dict[str, Any]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = st.dictionaries(
    st.sampled_from(["deadline_s", "protocol", "key", "engine", "workload"]), JSON
)
LINES = st.binary(max_size=60).map(lambda line: line.replace(b"\n", b" ")) | st.builds(
    lambda op, fields: json.dumps({**fields, "op": op}).encode(),
    st.sampled_from(["hello", "load", "measure", "dance", "", None]),
    FIELDS,
).filter(lambda line: f'"protocol": {PROTOCOL},' not in line.decode())
"""Lines that are no request, or none that can be answered."""


def engine_is_gone(pid: int) -> None:
    wait_until(lambda: not group_members(pid), what="the engine's process group is gone")


def supervisor_has_no_engine(peer: Peer) -> None:
    """The kernel shows a process as ended before the supervisor has reaped it."""
    wait_until(
        lambda: peer.ask("hello", protocol=PROTOCOL)["engine"] is None,
        what="the supervisor knows that its engine is gone",
    )


def child_of_engine(backend: Backend) -> int:
    """The process that the engine says it has started."""
    (log,) = backend.logs.glob("*.engine.log")
    (child,) = [int(line.split()[-1]) for line in log.read_text().splitlines() if "child" in line]
    return child


def faulty(engine: Fields, **options: Any) -> Fields:
    return {**engine, "options": options}


class TestHello:
    def test_says_who_is_there(self, backend: Backend, peer: Peer) -> None:
        hello = peer.ask("hello", protocol=PROTOCOL)
        assert hello["protocol"] == PROTOCOL
        assert hello["pid"] == backend.process.pid
        assert hello["age_s"] > 0
        assert hello["jobs"] == 0
        assert hello["engine"] is None

    def test_another_protocol_is_refused(self, peer: Peer) -> None:
        error = peer.ask("hello", protocol=99)
        assert error["reason"] == "protocol_mismatch"
        assert error["message"] == f"this worker speaks protocol {PROTOCOL}, not 99"

    def test_is_answered_while_an_engine_works(
        self, backend: Backend, peer: Peer, sleep_engine: Fields
    ) -> None:
        loaded = peer.load(**sleep_engine)
        peer.send("measure", deadline_s=60, workload=workload(minimum_duration_s=30))
        peer.wait_for(name="window")
        other = backend.connect()
        engine = other.ask("hello", protocol=PROTOCOL)["engine"]
        assert engine["pid"] == loaded["engine_pid"]
        assert engine["key"] == "key"
        assert engine["backend"] == "sleep"
        assert engine["jobs"] == 1
        other.close()


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


class TestLines:
    @pytest.mark.parametrize(
        ("line", "message"),
        [
            (b"\n", "not JSON"),
            (b"\xff\x00\n", "not JSON"),
            (b'{"op": "dance"}\n', "op: must be one of hello, load,"),
            (b'{"op": "load"}\n', "load.deadline_s: missing"),
        ],
    )
    def test_what_is_no_request_is_refused_and_the_next_one_is_answered(
        self, peer: Peer, line: bytes, message: str
    ) -> None:
        peer.send_line(line)
        error = peer.receive()
        assert error["reason"] == "bad_request"
        assert error["message"].startswith(message)
        assert peer.ask("hello", protocol=PROTOCOL)["event"] == "hello"

    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(LINES)
    def test_any_line_is_refused_and_the_next_one_is_answered(
        self, peer: Peer, line: bytes
    ) -> None:
        peer.send_line(line + b"\n")
        assert peer.receive()["reason"] in ("bad_request", "protocol_mismatch", "no_engine")
        assert peer.ask("hello", protocol=PROTOCOL)["event"] == "hello"

    def test_requests_sent_at_once_are_answered_in_order(
        self, peer: Peer, sleep_engine: Fields
    ) -> None:
        peer.send("hello", protocol=PROTOCOL)
        peer.send("load", deadline_s=60, key="a", engine=sleep_engine)
        peer.send("unload")
        peer.send("hello", protocol=PROTOCOL)
        events = [peer.answer()[-1]["event"] for _ in range(4)]
        assert events == ["hello", "loaded", "unloaded", "hello"]


class TestUnload:
    def test_ends_the_process(self, peer: Peer, sleep_engine: Fields) -> None:
        loaded = peer.load(**faulty(sleep_engine, child=True))
        assert peer.ask("unload") == {"event": "unloaded", "final": True}
        assert group_members(loaded["engine_pid"]) == []
        assert peer.ask("hello", protocol=PROTOCOL)["engine"] is None

    def test_ends_what_went_into_a_session_of_its_own(
        self, backend: Backend, peer: Peer, sleep_engine: Fields
    ) -> None:
        peer.load(**faulty(sleep_engine, child=True, child_session=True))
        child = child_of_engine(backend)
        assert group_members(child) == [child]
        peer.ask("unload")
        assert group_members(child) == []

    def test_without_an_engine_there_is_nothing_to_do(self, peer: Peer) -> None:
        assert peer.ask("unload")["event"] == "unloaded"

    def test_waits_for_a_measurement_of_another_connection(
        self, backend: Backend, peer: Peer, sleep_engine: Fields
    ) -> None:
        peer.load(**sleep_engine)
        peer.send("measure", deadline_s=60, workload=workload(minimum_duration_s=0.5))
        peer.wait_for(name="warmup")
        other = backend.connect()
        other.send("unload")
        assert peer.answer()[-1]["event"] == "measured"
        assert other.answer()[-1]["event"] == "unloaded"
        other.close()


class TestLostConnection:
    def test_in_a_measurement_it_ends_the_engine(
        self, backend: Backend, peer: Peer, sleep_engine: Fields
    ) -> None:
        loaded = peer.load(**faulty(sleep_engine, child=True))
        peer.send("measure", deadline_s=60, workload=workload(minimum_duration_s=30))
        peer.wait_for(name="window")
        peer.close()
        engine_is_gone(loaded["engine_pid"])
        successor = backend.connect()
        supervisor_has_no_engine(successor)
        assert successor.load(**sleep_engine)["event"] == "loaded"
        assert successor.measure()["event"] == "measured"
        successor.close()

    def test_while_loading_it_ends_the_engine(
        self, backend: Backend, peer: Peer, sleep_engine: Fields
    ) -> None:
        slow = faulty(sleep_engine, load_s=600.0)
        peer.send("load", deadline_s=600, key="key", engine=slow)
        log = backend.logs / "sleep.engine.log"
        wait_until(lambda: log.exists() and "loading" in log.read_text(), what="it loads")
        watcher = backend.connect()
        engine = watcher.ask("hello", protocol=PROTOCOL)["engine"]
        peer.close()
        engine_is_gone(engine["pid"])
        watcher.close()

    def test_between_requests_it_leaves_the_engine_alone(
        self, backend: Backend, peer: Peer, sleep_engine: Fields
    ) -> None:
        peer.load(**sleep_engine)
        peer.close()
        successor = backend.connect()
        assert successor.load(**sleep_engine)["reused"]
        successor.close()


class TestEnd:
    def test_a_lease_that_runs_out_ends_everything(
        self, backend: Backend, peer: Peer, sleep_engine: Fields
    ) -> None:
        loaded = peer.load(**faulty(sleep_engine, child=True))
        backend.renew(-1.0)
        assert backend.ended() == 5
        assert group_members(loaded["engine_pid"]) == []
        assert not backend.socket.exists()

    def test_a_lease_that_is_removed_ends_everything(self, backend: Backend) -> None:
        backend.lease.unlink()
        assert backend.ended() == 5

    def test_without_a_lease_it_does_not_stay(
        self, short_folder: Path, scripts_with_sleep: Path
    ) -> None:
        backend = Backend(
            short_folder, scripts=scripts_with_sleep, python=sys.executable, lease_s=-1.0
        )
        assert backend.ended() == 5
        assert not backend.socket.exists()
        backend.stop()

    def test_stop_ends_everything(self, backend: Backend, peer: Peer, sleep_engine: Fields) -> None:
        loaded = peer.load(**faulty(sleep_engine, child=True))
        assert peer.ask("stop") == {"event": "stopping", "final": True}
        assert backend.ended() == 0
        assert group_members(loaded["engine_pid"]) == []
        assert not backend.socket.exists()

    def test_sigterm_ends_everything_and_tells_who_waits(
        self, backend: Backend, peer: Peer, sleep_engine: Fields
    ) -> None:
        loaded = peer.load(**faulty(sleep_engine, child=True))
        peer.send("measure", deadline_s=60, workload=workload(minimum_duration_s=30))
        peer.wait_for(name="window")
        backend.process.terminate()
        error = [e for e in peer.answer() if e["event"] == "error"][-1]
        assert error["reason"] == "stopping"
        assert backend.ended() == 0
        assert group_members(loaded["engine_pid"]) == []

    def test_sigkill_of_the_supervisor_leaves_no_engine(
        self, backend: Backend, peer: Peer, sleep_engine: Fields
    ) -> None:
        loaded = peer.load(**faulty(sleep_engine, child=True))
        backend.process.kill()
        backend.ended()
        engine_is_gone(loaded["engine_pid"])

    def test_sigkill_of_the_supervisor_leaves_nothing_in_a_session_of_its_own(
        self, backend: Backend, peer: Peer, sleep_engine: Fields
    ) -> None:
        loaded = peer.load(**faulty(sleep_engine, child=True, child_session=True))
        child = child_of_engine(backend)
        assert group_members(child) == [child]
        backend.process.kill()
        backend.ended()
        engine_is_gone(loaded["engine_pid"])
        engine_is_gone(child)

    def test_sigkill_of_the_supervisor_ends_an_engine_that_hangs(
        self, backend: Backend, peer: Peer, sleep_engine: Fields
    ) -> None:
        loaded = peer.load(**faulty(sleep_engine, wave_fault="hang", child=True))
        peer.send("measure", deadline_s=60, workload=workload())
        peer.wait_for(name="warmup")
        backend.process.kill()
        backend.ended()
        engine_is_gone(loaded["engine_pid"])

    def test_ends_without_a_word_on_stderr(self, backend: Backend, peer: Peer) -> None:
        peer.ask("hello", protocol=PROTOCOL)
        backend.process.terminate()
        assert backend.ended() == 0
        assert backend.process.stderr is not None
        assert backend.process.stderr.read() == b""

    def test_a_socket_that_cannot_be_made_is_one_line(
        self, short_folder: Path, scripts_with_sleep: Path
    ) -> None:
        (short_folder / "s~").mkdir()
        backend = Backend(short_folder, scripts=scripts_with_sleep, python=sys.executable)
        assert backend.ended() == 2
        assert backend.process.stderr is not None
        assert backend.process.stderr.read().decode().count("\n") == 1
        backend.stop()


def test_a_lease_holds_until_its_expiry(tmp_path: Path) -> None:
    lease = tmp_path / "lease"
    lease.write_text(f"{time.monotonic() + 600:.3f}\n")
    assert not lease_expired(lease)
    lease.write_text(f"{time.monotonic() - 0.001:.3f}\n")
    assert lease_expired(lease)


@pytest.mark.parametrize("content", ["", "soon", "nan", "\x00"])
def test_what_is_no_number_is_no_lease(tmp_path: Path, content: str) -> None:
    lease = tmp_path / "lease"
    lease.write_text(content)
    assert lease_expired(lease)


def test_a_missing_file_is_no_lease(tmp_path: Path) -> None:
    assert lease_expired(tmp_path / "lease")
