"""One measurement inside the engine process: warm-up, window and tail of one load."""

from collections.abc import Callable

from worker import protocol
from worker.closed import measure_closed
from worker.engines.base import Engine
from worker.open import measure_open
from worker.protocol import Event
from worker.warmup import Warmup
from worker.waves import measure_waves
from worker.workload import EngineConfig, Workload

LOADS = {"waves": measure_waves, "closed": measure_closed, "open": measure_open}
"""Load mode -> the function that measures it."""


class RequestError(Exception):
    """A request that cannot be done; found before the engine was touched."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def measure(
    engine: Engine,
    config: EngineConfig,
    workload: Workload,
    *,
    emit: Callable[[Event], None],
    host_steady: Callable[[], bool] = lambda: False,
) -> Event:
    """Measure one load; return the final event `measured`, all times on CLOCK_MONOTONIC.

    Args:
        engine: loaded with `config`.
        emit: takes the events on the way: phases, and the waves of the warm-up. Nothing is
            emitted inside the window.
        host_steady: the host's verdict on power, used where the workload awaits it.

    Raises:
        RequestError: the workload does not fit the engine.
    """
    if fault := workload.fault(config):
        raise RequestError(protocol.BAD_REQUEST, fault)
    if workload.mode not in engine.LOAD_MODES:
        message = f"backend {config.backend} has no load mode {workload.mode}"
        raise RequestError(protocol.BAD_REQUEST, message)
    if (longest := workload.longest_sequence()) > config.context_tokens:
        message = (
            f"prompt and output take {longest} tokens, "
            f"the context holds {config.context_tokens} (context_tokens)"
        )
        raise RequestError(protocol.CONTEXT_EXCEEDED, message)
    engine.prepare(workload.prompts)
    warmup = Warmup(workload, emit=emit, host_steady=host_steady)
    run = LOADS[workload.mode]
    return {"event": "measured", "final": True, **run(engine, workload, warmup, emit)}
