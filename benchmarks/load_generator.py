"""Cost and lateness of the load generator itself, on a fake engine that logs true times.

    .venv/bin/python benchmarks/load_generator.py [--rounds 3] [--seconds 20]

The fake engine is a process of its own: each request gets its first token after 50 ms and one every
20 ms from then on, 128 in all, and each token carries the moment at which it was sent. The load
modes `closed` (32 and 128 in flight) and `open` (Poisson, 10 and 40 requests per second) run on it
as in an engine process, on an event loop as the adapters of vLLM and TensorRT-LLM have it.
Interleaved rounds; prints the median of each number, and how much of a core the engine takes.
"""

import argparse
import asyncio
import heapq
import os
import socket
import statistics
import struct
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

sys.path[:0] = [str(Path(__file__).parents[1] / "scripts")]

from worker.arrivals import ArrivalRecipe  # noqa: E402
from worker.engines._feeding import serve_tasks  # noqa: E402
from worker.engines.base import Engine, OnTokens, OpenLoad, Request  # noqa: E402
from worker.harness import measure  # noqa: E402
from worker.workload import EngineConfig, Sampling, WarmupRules, Workload  # noqa: E402

FIRST_S, GAP_S, TOKENS = 0.05, 0.02, 128
TOKEN = struct.Struct("<Id")
"""A token on its way: the request, and the moment at which it was sent (CLOCK_MONOTONIC)."""
ASK = struct.Struct("<I")
TICK_S = 0.0005
CASES = ("32 in flight", "128 in flight", "Poisson 10/s", "Poisson 40/s")


def fake_engine(connection: socket.socket) -> None:
    """Send the tokens of every request at its times, until the other side hangs up."""
    connection.setblocking(False)
    due: list[tuple[float, int, int]] = []
    pending = b""
    while True:
        now = time.monotonic()
        try:
            asked = connection.recv(1 << 16)
            if not asked:
                return
            pending += asked
            whole = len(pending) // ASK.size * ASK.size
            for (request,) in ASK.iter_unpack(pending[:whole]):
                heapq.heappush(due, (now + FIRST_S, request, 1))
            pending = pending[whole:]
        except BlockingIOError:
            pass
        except ConnectionError:
            return
        tokens = []
        while due and due[0][0] <= now:
            moment, request, number = heapq.heappop(due)
            tokens.append(request)
            if number < TOKENS:
                heapq.heappush(due, (moment + GAP_S, request, number + 1))
        if tokens:
            sent = time.monotonic()
            message = b"".join(TOKEN.pack(request, sent) for request in tokens)
            connection.setblocking(True)
            connection.sendall(message)
            connection.setblocking(False)
        rest = due[0][0] - time.monotonic() if due else 0.002
        time.sleep(max(TICK_S, min(rest, 0.002)))


class FakeEngine(Engine):
    """The client of the fake engine: an adapter on an event loop."""

    MODEL_FORMATS: ClassVar[tuple[str, ...]] = ()
    LOAD_MODES: ClassVar[frozenset[str]] = frozenset({"closed", "open"})
    DTYPES: ClassVar[tuple[str, ...]] = ("auto",)

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._loop = asyncio.new_event_loop()
        self._running: dict[int, tuple[Request, OnTokens, asyncio.Event]] = {}
        self._left: dict[int, int] = {}
        self._numbers = 0
        self.true_times: dict[int, list[float]] = {}
        """By the id of a request: when its tokens were sent."""
        self.handed_over: list[tuple[float, int]] = []
        """When the first token of a request had been handed over, and the id of the request."""

    def load(self, config: EngineConfig) -> dict[str, Any]:  # noqa: ARG002
        return {}

    def version(self) -> str:
        return "fake"

    def tokenize(self, model_path: str, texts: Sequence[str], **_: Any) -> list[list[int]]:
        raise NotImplementedError

    def stream(self, take: Callable[[], Request | None], slots: int, on_tokens: OnTokens) -> None:
        async def feed() -> None:
            while request := take():
                await self._generate(request, on_tokens)

        async def feed_all() -> None:
            await asyncio.gather(*(feed() for _ in range(slots)))

        self._run(feed_all())

    def serve(self, load: OpenLoad) -> None:
        self._run(serve_tasks(load, lambda request: self._generate(request, load.on_tokens)))

    def _run(self, work: Any) -> None:
        self._loop.add_reader(self._connection, self._receive)
        self._loop.run_until_complete(work)
        self._loop.remove_reader(self._connection)

    async def _generate(self, request: Request, on_tokens: OnTokens) -> None:
        number = self._numbers = self._numbers + 1
        done = asyncio.Event()
        self._running[number] = (request, on_tokens, done)
        self.true_times[request.id] = []
        self._connection.send(ASK.pack(number))
        await done.wait()

    def _receive(self) -> None:
        content = self._connection.recv(1 << 16, socket.MSG_DONTWAIT)
        while len(content) % TOKEN.size:
            content += self._connection.recv(TOKEN.size - len(content) % TOKEN.size)
        for number, sent in TOKEN.iter_unpack(content):
            if number not in self._running:
                continue  # it was given up
            request, on_tokens, done = self._running[number]
            on_tokens(request, [7])
            times = self.true_times[request.id]
            if not times:
                self.handed_over.append((time.monotonic(), request.id))
            times.append(sent)
            if len(times) == TOKENS:
                done.set()
                del self._running[number]


def workload(case: str, seconds: float) -> Workload:
    """Return the load of a case."""
    value = int(case.removeprefix("Poisson ").partition(" ")[0].partition("/")[0])
    is_open = case.startswith("Poisson")
    return Workload(
        mode="open" if is_open else "closed",
        batch_size=256 if is_open else value,
        output_tokens=TOKENS,
        prompts=((1, 2, 3),),
        sampling=Sampling(),
        minimum_duration_s=seconds,
        tail_s=1.0,
        warmup=WarmupRules(cap_s=3.0, first_wave_deadline_s=60.0, bound=0.5, minimum_s=1.0),
        arrivals=ArrivalRecipe("poisson", float(value)) if is_open else None,
    )


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def run(case: str, seconds: float) -> dict[str, float]:
    """Run a case on a fake engine of its own; return its numbers."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        fake_engine(theirs)
        os._exit(0)
    theirs.close()
    engine = FakeEngine(ours)
    config = EngineConfig("fake", "", "auto", context_tokens=1024, slots=256)
    begun, cpu = time.monotonic(), time.process_time()
    report = measure(engine, config, workload(case, seconds), emit=lambda _: None)
    cpu, lasted_s = time.process_time() - cpu, time.monotonic() - begun
    ours.close()
    _, _, used = os.wait4(child, 0)
    start, end = report["window"]["start"], report["window"]["end"]
    tokens = sum(map(len, engine.true_times.values()))
    first, gaps, late = [], [], []
    for request in report["requests"]:
        if not (seen := request["token_times"]):
            continue
        true = engine.true_times[identity(engine, request)]
        if len(true) != TOKENS or len(seen) != TOKENS or not start <= request["submitted"] <= end:
            continue
        first.append(seen[0] - true[0])
        pairs = zip(pairwise(seen), pairwise(true), strict=True)
        gaps += [abs((b - a) - (d - c)) for (a, b), (c, d) in pairs]
        if "scheduled" in request:
            late.append(request["submitted"] - request["scheduled"])
    return {
        "processor s per 1,000 tokens": 1e3 * cpu / tokens,
        "tokens/s": tokens / lasted_s,
        "lateness p50, ms": 1e3 * percentile(late, 0.5) if late else float("nan"),
        "lateness p99, ms": 1e3 * percentile(late, 0.99) if late else float("nan"),
        "TTFT error p50, ms": 1e3 * percentile(first, 0.5),
        "TTFT error p99, ms": 1e3 * percentile(first, 0.99),
        "gap error p99, % of 20 ms": 1e2 * percentile(gaps, 0.99) / GAP_S,
        "fake engine, cores": (used.ru_utime + used.ru_stime) / lasted_s,
    }


def identity(engine: FakeEngine, request: dict[str, Any]) -> int:
    """Return the id of a reported request: its first token was handed over just before a stamp."""
    place = bisect_left(engine.handed_over, (request["token_times"][0], -1))
    return engine.handed_over[place][1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {case: [] for case in CASES}
    for _ in range(options.rounds):
        for case in CASES:
            found[case].append(run(case, options.seconds))
    names = list(found[CASES[0]][0])
    print(f"{'':32}" + "".join(f"{case:>16}" for case in CASES))
    for name in names:
        medians = (statistics.median(r[name] for r in found[case]) for case in CASES)
        print(f"{name:32}" + "".join(f"{value:16.3f}" for value in medians))


if __name__ == "__main__":
    main()
