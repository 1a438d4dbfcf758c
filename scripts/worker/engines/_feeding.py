"""Arrivals of an open load, for engines that are stepped and for engines on an event loop."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator

from worker.engines.base import EngineError, OpenLoad, Request


class Stepping:
    """The loop of an engine that is stepped: arrivals between its steps, and who waits for one."""

    def __init__(self, load: OpenLoad) -> None:
        self._load = load
        self._arrived = deque[Request]()

    def steps(self, busy: Callable[[], object]) -> Iterator[None]:
        """Yield for each step, until the measurement is over.

        Args:
            busy: returns True while requests are in flight; else it waits for the next arrival.
        """
        step = None
        while (wait_s := self._load.wait_s()) is not None:
            if wait_s and not busy() and not self._arrived:
                time.sleep(wait_s)
            self._arrived.extend(self._load.due(step))
            begun = time.monotonic()
            yield
            step = (begun, time.monotonic())

    def admit(self, room: int) -> Iterator[Request]:
        """Yield the requests that may begin, in order of arrival, as many as there is room."""
        while self._arrived and room > 0:
            yield self._arrived.popleft()
            room -= 1


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
