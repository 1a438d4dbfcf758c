"""Measure how late requests at a rate are over HTTP, on a server whose true times are logged.

    .venv/bin/python benchmarks/http_lateness.py --folder DIR [--rounds 3] [--seconds 20]

The load mode `open` runs as in an engine process, with the client of servers, on the paced server
of http_client.py: Poisson arrivals, 40 per second, of 128 tokens each, the first after 100 ms, then
one every 20 ms. Lateness is counted from the scheduled arrival: to the client's own stamp, and to
the moment at which the server had read the request.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

sys.path[:0] = [str(Path(__file__).parents[1] / "scripts")]

from http_client import paced_server  # noqa: E402
from load_generator import TOKENS, percentile, workload  # noqa: E402

from worker.engines.base import Engine, OnTokens, OpenLoad, Request  # noqa: E402
from worker.harness import measure  # noqa: E402
from worker.serving.address import Address  # noqa: E402
from worker.serving.dialect import Dialect  # noqa: E402
from worker.serving.load import Client  # noqa: E402
from worker.workload import EngineConfig  # noqa: E402


class HttpEngine(Engine):
    """The client of servers as an engine process has it."""

    MODEL_FORMATS: ClassVar[tuple[str, ...]] = ()
    LOAD_MODES: ClassVar[frozenset[str]] = frozenset({"open"})
    DTYPES: ClassVar[tuple[str, ...]] = ("auto",)

    def __init__(self, url: str) -> None:
        self._client = Client(Address.of(url), Dialect("token_ids"), model="m", stall_s=60.0)

    def load(self, config: EngineConfig) -> dict[str, Any]:  # noqa: ARG002
        return {}

    def version(self) -> str:
        return "paced"

    def tokenize(self, model_path: str, texts: Sequence[str], **_: Any) -> list[list[int]]:
        raise NotImplementedError

    def stream(self, take: Callable[[], Request | None], slots: int, on_tokens: OnTokens) -> None:
        self._client.run(take, slots, on_tokens)

    def serve(self, load: OpenLoad) -> None:
        self._client.serve(load)


def answers(log: Path) -> list[tuple[float, float]]:
    """Return when each request had been read and its first token sent, in order."""
    rows = [[float(word) for word in line.split()] for line in log.read_text().splitlines()]
    return sorted((row[0], row[1]) for row in rows)


def matched(
    requests: Sequence[dict[str, Any]], served: Sequence[tuple[float, float]]
) -> Iterator[tuple[dict[str, Any], float, float]]:
    """Give each whole request with its times at the server, which reads them in the same order."""
    rest = iter(served)
    for request in sorted(requests, key=lambda one: float(one["submitted"])):
        times = next((t for t in rest if t[0] >= request["submitted"]), None)
        if times is not None and len(request["token_times"]) == TOKENS:
            yield request, *times


def run(folder: Path, rate: int, seconds: float) -> dict[str, float]:
    """Run the load once on a server of its own; return its numbers."""
    config = EngineConfig("paced", "", "auto", context_tokens=1024, slots=256)
    load = workload(f"Poisson {rate}/s", seconds)
    with paced_server(folder) as (url, log):
        engine, cpu = HttpEngine(url), time.process_time()
        report = measure(engine, config, load, emit=lambda _: None)
        cpu = time.process_time() - cpu
        served = answers(log)
    start, end = report["window"]["start"], report["window"]["end"]
    requests = [one for one in report["requests"] if start <= one["scheduled"] <= end]
    pairs = list(matched(requests, served))
    stamped = [one["submitted"] - one["scheduled"] for one, _, _ in pairs]
    read = [at - one["scheduled"] for one, at, _ in pairs]
    first = [one["token_times"][0] - sent for one, _, sent in pairs]
    numbers = {"requests": float(len(pairs)), "of": float(len(requests))}
    for name, values in (
        ("lateness of the client", stamped),
        ("lateness at the server", read),
        ("error of the first token", first),
    ):
        numbers[f"{name} p50, ms"] = 1e3 * percentile(values, 0.5)
        numbers[f"{name} p99, ms"] = 1e3 * percentile(values, 0.99)
    return numbers | {"processor s per 1,000 tokens": 1e3 * cpu / (TOKENS * len(served))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=int, default=40, help="requests per second")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    found = [run(options.folder, options.rate, options.seconds) for _ in range(options.rounds)]
    print(f"Poisson {options.rate}/s, medians of {options.rounds} rounds")
    for name in found[0]:
        print(f"{name:36}{statistics.median(numbers[name] for numbers in found):12.3f}")


if __name__ == "__main__":
    main()
