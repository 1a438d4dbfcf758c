"""The supervisor's answers to its client, on real processes and sockets."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.worker.backend import Backend, Peer, group_members, workload
from tests.worker.engine_process import (
    child_of_engine,
    faulty,
)

from worker.protocol import PROTOCOL

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

    @settings(max_examples=60)
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
