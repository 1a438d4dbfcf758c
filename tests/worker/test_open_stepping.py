"""Load mode `open` on an engine that the adapter steps itself."""

from typing import Any

import pytest
from tests.worker.open_loads import Clock, engine_of, workload
from tests.worker.virtual_engine import virtual_clock

from worker.arrivals import ArrivalRecipe
from worker.engines._feeding import Stepping
from worker.engines.base import OpenLoad, Request
from worker.open import OpenStream
from worker.warmup import Warmup
from worker.workload import Sampling

__all__ = ["virtual_clock"]


class Arriving(OpenLoad):
    """Two requests that come due while the engine steps."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left = [Request(0, (1,), 1, Sampling()), Request(1, (1,), 1, Sampling())]
        self.steps: list[tuple[float, float] | None] = []

    def wait_s(self) -> float | None:
        return 0.5 if len(self.steps) < 3 else None

    def due(self, step: tuple[float, float] | None = None) -> list[Request]:
        self.steps.append(step)
        due, self._left = self._left, []
        return due

    def on_tokens(self, request: Request, ids: Any) -> None: ...

    def on_end(self, request: Request, fault: str | None = None) -> None: ...


def test_a_stepped_engine_names_its_steps_and_admits_in_order(virtual_clock: Clock) -> None:
    load = Arriving(virtual_clock)
    admitted: list[int] = []
    loop = Stepping(load)
    for _ in loop.steps(admitted.__len__):
        admitted += [request.id for request in loop.admit(1)]
        virtual_clock.sleep(0.2)
    assert admitted == [0, 1]
    first, second, third = load.steps
    assert first is None
    assert second is not None
    assert third is not None
    assert second[1] - second[0] == pytest.approx(0.2, abs=1e-5)
    assert second[0] - 1000.0 == pytest.approx(0.5, abs=1e-5)  # it waited for the first arrival
    assert third[0] - second[1] == pytest.approx(0.0, abs=1e-5)


def test_who_comes_due_in_a_step_waits_for_the_engine(virtual_clock: Clock) -> None:
    load = workload(ArrivalRecipe("constant", 10.0), output_tokens=4, duration_s=1.0)
    warmup = Warmup(load, emit=lambda _: None, host_steady=bool)
    stream = OpenStream(load, warmup, lambda _: None)
    engine_of(virtual_clock).wave([stream.first_request()], stream.on_tokens)
    stream.begin()
    begun = virtual_clock.now
    virtual_clock.sleep(0.45)
    step = (begun, virtual_clock.now)
    virtual_clock.sleep(0.1)  # the load generator itself is late
    requests = stream.due(step)
    records = [stream.records[request.id] for request in requests]
    late = [r.submitted - r.open.scheduled for r in records if r.open]
    assert len(late) in (5, 6)
    assert late[:4] == [0.0] * 4
    assert late[-1] > 0.0
