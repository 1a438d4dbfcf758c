"""Heal the backends of a run: restart what is dead or hung, or else recreate it.

There are two sources: the container engine's event stream (a container died, its HEALTHCHECK
failed), without polling; and a regular check of each backend: that its process lives, that its
heartbeat is young where the engine has no HEALTHCHECK (Podman) and, only outside of measurements,
that its supervisor answers and that CUDA can be used.
"""

import logging
import queue
import threading
import time
from dataclasses import dataclass
from typing import Any

from llm_energy.backends import health
from llm_energy.backends.running import (
    connect,
    declared_backend,
    heal_backend,
    known_backend,
    known_backends,
    runtime_named,
)
from llm_energy.backends.runtime import BackendError, BackendRecord
from llm_energy.runs.run import Run
from llm_energy.system import locks
from llm_energy.system.vocabulary import DOCKER, PROCESS

LOG = logging.getLogger(__name__)

LOOK_S = 2.0
"""Period of the check that processes live: one read of /proc each."""

CHECK_S = 30.0
"""Period of the check that supervisors answer."""


@dataclass(frozen=True)
class Complaint:
    """A report that a backend may not work."""

    backend: str
    reason: str
    hung: bool
    """It may be alive and still not work; otherwise being alive is enough."""


class Healer:
    """Heals the backends of one run until it or its process is ended."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._complaints: queue.SimpleQueue[Complaint] = queue.SimpleQueue()
        self._listening = False
        self._at_work, self._ended = threading.Lock(), False
        self._checked = time.monotonic()

    def heal_all(self) -> None:
        """Heal until ended. A failure is logged, and tried again at the next complaint."""
        while True:
            try:
                complaint = self._complaints.get(timeout=LOOK_S)
            except queue.Empty:
                complaint = None
            with self._at_work:
                if self._ended:
                    return
                if complaint is None:
                    self._guarded(self._look)
                else:
                    self._guarded(self._heal, complaint)

    def end(self) -> None:
        """Stop healing, after finishing what is being healed.

        To be called before the run is ended in the same process: what is stopped then would be
        taken for dead, and started again.
        """
        with self._at_work:
            self._ended = True

    def _guarded(self, step: Any, *arguments: Any) -> None:
        try:
            step(*arguments)
        except BackendError as error:
            LOG.warning("%s: %s", error.reason, error)
        except Exception:  # the run's files vanish when it ends; anything else is a defect
            LOG.exception("looking after the backends failed")

    def _look(self) -> None:
        records = known_backends(self._run)
        if not self._listening and any(record.runtime == DOCKER for record in records):
            self._listening = True
            threading.Thread(target=self._listen, daemon=True).start()
        for record in records:
            # The engine reports containers that end.
            if record.runtime == PROCESS and not runtime_named(PROCESS).alive(record):
                self._complain(record.name, "its process is dead", hung=False)
        if time.monotonic() - self._checked >= CHECK_S:
            self._checked = time.monotonic()
            for record in records:
                self._check(record)

    def _check(self, record: BackendRecord) -> None:
        """Check the heartbeat and, but never beside a measurement, that the supervisor answers and
        CUDA works; not of a container that is not ours to heal."""
        if record.attached:
            return
        try:
            if runtime_named(record.runtime).hung(record):
                self._complain(record.name, "its heartbeat is too old", hung=True)
                return
        except BackendError:
            return  # the engine does not answer, which is reported by its events
        lock = locks.hold(self._run.measuring_lock)
        if lock is None:
            return
        with lock:
            try:
                with connect(record):
                    pass
                if declared_backend(self._run, record.name).container.gpus is not None:
                    runtime_named(record.runtime).check_cuda(record)
            except BackendError as error:
                self._complain(record.name, str(error), hung=True)

    def _complain(self, backend: str, reason: str, *, hung: bool) -> None:
        self._complaints.put(Complaint(backend, reason, hung))

    def _heal(self, complaint: Complaint) -> None:
        record = known_backend(self._run, complaint.backend)
        if record is None or health.given_up(self._run, complaint.backend):
            return
        if complaint.hung or not runtime_named(record.runtime).alive(record):
            heal_backend(self._run, record, reason=complaint.reason)

    def _listen(self) -> None:
        """Follow the events of the run's containers, also across restarts of the engine."""
        from llm_energy.containers.events import container_events

        while True:
            for event in container_events(self._run.run_id):
                if event.kind == "out_of_memory":
                    self._run.add_event("container_out_of_memory", backend=event.backend)
                else:
                    self._complain(event.backend, event.reason, hung=event.kind == "unhealthy")
            self._run.add_event("docker_unreachable", reason="its event stream ended")
            time.sleep(1.0)
            for record in known_backends(self._run):
                if record.runtime == DOCKER:
                    self._complain(record.name, "the Docker engine was restarted", hung=False)
