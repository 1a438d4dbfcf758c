"""The backends of a run kept in health: what is dead or hung is restarted, or else recreated.

Two sources tell: the Docker engine's own event stream (a container died, its HEALTHCHECK failed),
without polling; and a look at each backend, which asks processes whether they live and, outside of
measurements only, supervisors whether they answer and GPUs whether CUDA can be used.
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
)
from llm_energy.backends.runtime import BackendError, BackendRecord
from llm_energy.backends.runtimes import runtime_named
from llm_energy.runs.run import Run
from llm_energy.system import locks

LOG = logging.getLogger(__name__)

LOOK_S = 2.0
"""Between two looks at whether the processes of backends live: one read of /proc each."""

QUESTION_S = 30.0
"""Between two questions to each supervisor."""


@dataclass(frozen=True)
class Complaint:
    """A backend of which something bad was heard."""

    backend: str
    reason: str
    hung: bool
    """Whether it may live and yet not work; else it is well if it lives."""


class Healer:
    """Looks after the backends of one run, until it is ended or its process is."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._complaints: queue.SimpleQueue[Complaint] = queue.SimpleQueue()
        self._listening = False
        self._at_work, self._ended = threading.Lock(), False
        self._asked = time.monotonic()

    def look_after(self) -> None:
        """Returns once it is ended. What fails is logged, and tried again at the next complaint."""
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
        """Heal nothing any more; what is being healed is finished first.

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
        if not self._listening and any(record.runtime == "docker" for record in records):
            self._listening = True
            threading.Thread(target=self._listen, daemon=True).start()
        for record in records:
            # Containers are not asked: the engine tells.
            if record.runtime == "process" and not runtime_named("process").alive(record):
                self._complain(record.name, "its process is dead", hung=False)
        if time.monotonic() - self._asked >= QUESTION_S:
            self._asked = time.monotonic()
            for record in records:
                self._ask(record)

    def _ask(self, record: BackendRecord) -> None:
        """Whether the supervisor answers, and CUDA where it is in use; not beside a measurement."""
        lock = locks.hold(self._run.measuring_lock)
        if lock is None:
            return
        with lock:
            try:
                with connect(record):
                    pass
                if declared_backend(self._run, record.name).container["gpus"] is not None:
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
        """Follow the events of the run's containers; come back when the engine does."""
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
                if record.runtime == "docker":
                    self._complain(record.name, "the Docker engine was restarted", hung=False)
