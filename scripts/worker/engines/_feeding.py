"""Arrivals of an open load, for engines that are stepped and for engines on an event loop.

A step must not hold up the clock of arrivals: a server takes requests while its engine computes.
So a thread takes them when they are due.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Sequence

from worker.engines.base import EngineError, OpenLoad, Request

LOOK_S = 0.05
"""Longest sleep: the thread then sees that it is to end."""


class Feeder:
    """Runs while an engine serves an open load: `with Feeder(load) as feeder`."""

    def __init__(self, load: OpenLoad) -> None:
        self._load = load
        self._arrived: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="arrivals", daemon=True)

    def __enter__(self) -> "Feeder":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._thread.join()

    @property
    def over(self) -> bool:
        """True once the measurement is over."""
        return not self._thread.is_alive()

    def take(self, *, wait: bool) -> Sequence[Request]:
        """Return the requests that have arrived; with `wait`, wait a moment for one.

        Raises:
            BaseException: the load failed.
        """
        if self._fault is not None:
            raise self._fault
        found: list[Request] = []
        try:
            if wait:
                found.append(self._arrived.get(timeout=LOOK_S))
            while True:
                found.append(self._arrived.get_nowait())
        except queue.Empty:
            return found

    def _run(self) -> None:
        try:
            while not self._stopped.is_set() and (wait_s := self._load.wait_s()) is not None:
                time.sleep(min(wait_s, LOOK_S))
                for request in self._load.due():
                    self._arrived.put(request)
        except BaseException as error:
            self._fault = error


async def serve_tasks(load: OpenLoad, generate: Callable[[Request], Awaitable[None]]) -> None:
    """Run each request of an open load in a task of its own, begun when it is due.

    Args:
        generate: generates a request and hands over its tokens. An EngineError is the failure of
            this request alone; any other error ends the measurement.
    """

    async def run(request: Request) -> None:
        fault = None
        try:
            await generate(request)
        except EngineError as error:
            fault = str(error)
        load.on_end(request, fault)

    tasks = set[asyncio.Task[None]]()
    try:
        while (wait_s := load.wait_s()) is not None:
            await asyncio.sleep(wait_s)
            tasks |= {asyncio.create_task(run(request)) for request in load.due()}
            for task in [task for task in tasks if task.done()]:
                tasks.discard(task)
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
