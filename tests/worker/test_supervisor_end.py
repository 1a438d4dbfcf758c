"""Ends of a supervisor and of its engine process, on real processes and sockets.

Nothing may be left of an engine, whatever ends: the engine, the client, the supervisor, the lease.
"""

import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import wait_until
from tests.worker.backend import Backend, Peer, group_members, workload
from tests.worker.engine_process import (
    child_of_engine,
    engine_is_gone,
    faulty,
    supervisor_has_no_engine,
)

from worker.protocol import PROTOCOL
from worker.supervisor import lease_expired

Fields = dict[str, Any]


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


WITHOUT_PATIENCE = """
import sys
from worker import supervisor
supervisor.UNUSED_S = 0.2
sys.exit(supervisor.main())
"""


class TestWithoutLease:
    def test_it_stays_and_ends_an_engine_that_nobody_uses(
        self, short_folder: Path, scripts_with_sleep: Path, sleep_engine: Fields
    ) -> None:
        backend = Backend(
            short_folder,
            scripts=scripts_with_sleep,
            python=sys.executable,
            lease_s=None,
            program=("-c", WITHOUT_PATIENCE),
        )
        peer = backend.connect()
        loaded = peer.load(**faulty(sleep_engine, child=True))
        time.sleep(2.0)
        assert peer.measure()["event"] == "measured"  # an engine with a client stays
        peer.close()
        engine_is_gone(loaded["engine_pid"])
        successor = backend.connect()
        supervisor_has_no_engine(successor)
        assert successor.load(**sleep_engine)["event"] == "loaded"
        successor.close()
        backend.process.terminate()
        assert backend.ended() == 0
        backend.stop()
