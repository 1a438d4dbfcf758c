"""A deadline for every call of a meter: a driver that does not answer must not hold up anything."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from llm_energy.power.meter import QUANTITIES, Device, Meter, Reading, reading_since
from llm_energy.power.priority import prefer_this_thread

LOG = logging.getLogger(__name__)

T = TypeVar("T")

_Answers = SimpleQueue[tuple[Any, Exception | None]]
"""The result of a call, or the exception that it raised."""

OPEN_DEADLINE_S = 60.0
"""A driver without persistence mode starts each GPU when it is opened, which takes seconds."""

READ_DEADLINE_S = 5.0
"""A pass over the sensors of a device takes milliseconds."""


class DriverCalls:
    """Calls of one driver, in a daemon thread of their own: what hangs ends with the process.

    Each call has a queue for its answer, which takes 0.04 ms less of CPU time than a `Future`: a
    sixth of a pass.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[_Answers, Callable[[], Any]] | None] = SimpleQueue()
        self._late: _Answers | None = None
        threading.Thread(target=self._run, name="driver-calls", daemon=True).start()

    def call(self, function: Callable[[], T], *, deadline_s: float) -> T:
        """Return what `function` returns, or raise what it raises.

        Raises:
            TimeoutError: it did not return in time, or an earlier one has not returned yet.
        """
        if self._late is not None and self._late.empty():
            raise TimeoutError
        answers: _Answers = SimpleQueue()
        self._queue.put((answers, function))
        try:
            answer, error = answers.get(timeout=deadline_s)
        except Empty:
            self._late = answers
            raise TimeoutError from None
        if error is not None:
            raise error
        result: T = answer
        return result

    def end(self) -> None:
        """Let the thread end after the calls that it has."""
        self._queue.put(None)

    def _run(self) -> None:
        prefer_this_thread()
        while call := self._queue.get():
            answers, function = call
            try:
                answers.put((function(), None))
            except Exception as error:
                answers.put((None, error))


class TimedMeter:
    """A meter whose calls have deadlines; a late reading has the reason `timeout`."""

    def __init__(self, meter: Meter, calls: DriverCalls) -> None:
        self.devices = meter.devices
        self._meter = meter
        self._calls = calls

    @classmethod
    def open(cls, opening: Callable[[], Meter | None]) -> "TimedMeter | None":
        """The meter that `opening` gives; None where it gives none, none in time, or breaks."""
        calls = DriverCalls()
        try:
            meter = calls.call(opening, deadline_s=OPEN_DEADLINE_S)
        except Exception:
            LOG.warning("a meter could not be opened", exc_info=True)
            meter = None
        if meter is not None:
            return cls(meter, calls)
        calls.end()
        return None

    def read(self, device: Device, *, slow: bool) -> Reading:
        start_s = time.monotonic()
        reading = partial(self._meter.read, device, slow=slow)
        try:
            return self._calls.call(reading, deadline_s=READ_DEADLINE_S)
        except TimeoutError:
            return reading_since(start_s, device, unavailable=dict.fromkeys(QUANTITIES, "timeout"))

    def close(self) -> None:
        try:
            self._calls.call(self._meter.close, deadline_s=READ_DEADLINE_S)
        except TimeoutError:
            LOG.warning("a meter did not close in time")
        self._calls.end()
