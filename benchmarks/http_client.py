"""Measure the HTTP client beside AIPerf and GuideLLM, on one server whose true times are logged.

    .venv/bin/python benchmarks/http_client.py --folder DIR [--rounds 3] [--in-flight 32 128]
        [--aiperf .../bin/aiperf] [--guidellm .../bin/guidellm --tokenizer FOLDER]
        [--url http://127.0.0.1:8000 --model NAME --server llamacpp-server --output-tokens 32]

Rounds are interleaved: each client once, in turn. The server (http_server.c) paces the tokens and
logs when it really sent them; with `--url` a server of yours is measured, whose truth is not known.
Processor time and memory are those of a client's whole process tree.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TTFT_MS, ITL_MS = 100.0, 20.0
PROMPT_TOKENS = 32
REQUESTS_EACH = 6  # for each one in flight
SAMPLE_S = 0.2


@dataclass(frozen=True)
class Row:
    """One client in one round."""

    client: str
    in_flight: int
    processor_s_per_1000_tokens: float
    peak_memory_mib: float
    first_request_s: float | None  # from the client's start, as the server saw it
    throughput_tokens_per_s: float | None
    ttft_p50_ms: float | None
    ttft_p50_true_ms: float | None
    itl_p50_ms: float | None
    itl_true_ms: float | None
    gap_p99_ms: float | None  # of single gaps, where the client reports them
    gap_p99_true_ms: float | None


def quantile(values: Sequence[float], fraction: float) -> float | None:
    """Return a quantile of values, None where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))] if ordered else None


def own_client(
    url: str, model: str, server: str, in_flight: int, requests: int, tokens: int, output: Path
) -> None:
    """Run the workflow's client; write its times. The process that is measured.

    Args:
        server: backend whose `envs/NAME/server.yaml` has the dialect; empty for the paced server.
    """
    sys.path.insert(0, str(ROOT / "scripts"))
    from worker.engines.base import Request
    from worker.serving.address import Address
    from worker.serving.dialect import Dialect
    from worker.serving.load import Client
    from worker.workload import Sampling

    prompt = tuple(range(5, 5 + PROMPT_TOKENS))
    submitted: list[float] = []
    times: list[list[float]] = []

    def take() -> Request | None:
        if len(submitted) == requests:
            return None
        submitted.append(time.monotonic())
        times.append([])
        return Request(len(submitted) - 1, prompt, tokens, Sampling())

    def on_tokens(request: Request, ids: Sequence[int]) -> None:
        times[request.id].extend([time.monotonic()] * len(ids))

    dialect = Dialect("token_ids")
    if server:
        import yaml

        declared = yaml.safe_load((ROOT / "envs" / server / "server.yaml").read_text())
        names = ("token_counts", "request", "exact_length")
        dialect = Dialect(**{name: declared[name] for name in names})
    client = Client(Address.of(url), dialect, model=model, stall_s=60.0)
    client.run(take, in_flight, on_tokens)
    output.write_text(json.dumps({"submitted": submitted, "times": times}))


def read_own(file: Path) -> dict[str, Any]:
    """Return the latencies in ms of the workflow's client."""
    found = json.loads(file.read_text())
    first = [1e3 * (t[0] - s) for s, t in zip(found["submitted"], found["times"], strict=True)]
    gaps = [1e3 * (b - a) for t in found["times"] for a, b in pairwise(t)]
    tokens = sum(map(len, found["times"]))
    span = max(t[-1] for t in found["times"]) - min(found["submitted"])
    return {
        "ttft_p50_ms": quantile(first, 0.5),
        "itl_p50_ms": quantile(gaps, 0.5),
        "gap_p99_ms": quantile(gaps, 0.99),
        "throughput_tokens_per_s": tokens / span,
    }


def read_aiperf(folder: Path) -> dict[str, Any]:
    """Return the latencies in ms of AIPerf's export."""
    (file,) = folder.rglob("profile_export_aiperf.json")
    found = json.loads(file.read_text())
    return {
        "ttft_p50_ms": found["time_to_first_token"]["p50"],
        "itl_p50_ms": found["inter_token_latency"]["p50"],
        "gap_p99_ms": None,  # its inter-token latency is the mean gap of each request
        "throughput_tokens_per_s": found["output_token_throughput"]["avg"],
    }


def read_guidellm(file: Path) -> dict[str, Any]:
    """Return the latencies in ms of GuideLLM's report."""
    metrics = json.loads(file.read_text())["benchmarks"][0]["metrics"]
    return {
        "ttft_p50_ms": metrics["time_to_first_token_ms"]["successful"]["median"],
        "itl_p50_ms": metrics["inter_token_latency_ms"]["successful"]["median"],
        "gap_p99_ms": None,  # as AIPerf
        "throughput_tokens_per_s": metrics["output_tokens_per_second"]["successful"]["mean"],
    }


def commands(
    options: argparse.Namespace, url: str, in_flight: int, work: Path
) -> Iterator[tuple[str, list[str], Any]]:
    """Yield name, command and reader of each client."""
    requests, model = REQUESTS_EACH * in_flight, options.model
    own = [sys.executable, __file__, "--own", url, model, options.server, str(in_flight)]
    own += [str(requests), str(options.output_tokens)]
    yield "this client", [*own, str(work / "own.json")], lambda: read_own(work / "own.json")
    if options.aiperf:
        command = [options.aiperf, "profile", "--model", model, "--url", url]
        command += ["--endpoint-type", "completions", "--streaming", "--ui", "none"]
        command += ["--concurrency", str(in_flight), "--request-count", str(requests)]
        command += ["--isl", str(PROMPT_TOKENS), "--isl-stddev", "0"]
        command += ["--osl", str(options.output_tokens), "--osl-stddev", "0"]
        command += ["--extra-inputs", "ignore_eos:true", "--tokenizer", str(options.tokenizer)]
        command += ["--no-gpu-telemetry", "--no-server-metrics"]
        command += ["--output-artifact-dir", str(work / "aiperf")]
        yield "AIPerf", command, lambda: read_aiperf(work / "aiperf")
    if options.guidellm:
        lengths = f"prompt_tokens={PROMPT_TOKENS},output_tokens={options.output_tokens}"
        command = [options.guidellm, "run", "--disable-console"]
        command += ["--data", f"kind=synthetic_text,{lengths}"]
        command += [
            "--backend",
            f"kind=openai_http,target={url},model={model},request_format=/v1/completions",
        ]
        command += ["--profile", f"kind=concurrent,streams={in_flight}"]
        command += ["--constraint", f"kind=max_requests,count={requests}"]
        command += ["--tokenizer", f"kind=huggingface_auto,model={options.tokenizer}"]
        command += ["--output", f"kind=json,path={work / 'guidellm.json'}"]
        yield "GuideLLM", command, lambda: read_guidellm(work / "guidellm.json")


def tree(pid: int) -> list[int]:
    """Return a process and all below it."""
    found = [pid]
    for parent in found:
        for file in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, file.read_text().split())
            except OSError:
                continue
    return found


def memory_mib(pid: int) -> float:
    """Return the memory of a process tree, each shared page counted once (PSS)."""
    total = 0
    for each in tree(pid):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def run(command: Sequence[str], log: Path) -> tuple[float, float, float]:
    """Return start (CLOCK_MONOTONIC), processor s and peak memory in MiB of a command."""
    peak, done = 0.0, threading.Event()
    start = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)

    def watch() -> None:
        nonlocal peak
        while not done.wait(SAMPLE_S):
            peak = max(peak, memory_mib(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    done.set()
    if status:
        raise SystemExit(f"{command[0]} failed: {log}\n{log.read_text(errors='replace')[-2000:]}")
    return start, usage.ru_utime + usage.ru_stime, peak


@contextmanager
def paced_server(folder: Path) -> Iterator[tuple[str, Path]]:
    """Run the server whose times are known; gives its URL and its log."""
    program, log, port = folder / "http_server", folder / "sent.log", 18231
    subprocess.run(["cc", "-O2", "-o", program, ROOT / "benchmarks/http_server.c"], check=True)
    server = subprocess.Popen([program, str(port), str(TTFT_MS), str(ITL_MS), log])
    time.sleep(0.3)
    try:
        yield f"http://127.0.0.1:{port}", log
    finally:
        server.terminate()
        server.wait()


def truth(log: Path | None, since: float, tokens: int) -> dict[str, float | None]:
    """Return the true latencies in ms of the answers that were requested since a moment."""
    names = ("ttft_p50_true_ms", "itl_true_ms", "gap_p99_true_ms", "first_request_s")
    if log is None:
        return dict.fromkeys(names)
    rows = [[float(word) for word in line.split()] for line in log.read_text().splitlines()]
    rows = [row for row in rows if row[0] >= since and row[3] == tokens]
    values = (
        quantile([1e3 * (row[1] - row[0]) for row in rows], 0.5),
        quantile([1e3 * (row[2] - row[1]) / (row[3] - 1) for row in rows], 0.5),
        quantile([1e3 * row[4] for row in rows], 0.5),
        min(row[0] for row in rows) - since if rows else None,
    )
    return dict(zip(names, values, strict=True))


def measure(options: argparse.Namespace, url: str, log: Path | None) -> list[Row]:
    """Run all clients in interleaved rounds."""
    rows = []
    for number in range(options.rounds):
        for in_flight in options.in_flight:
            work = options.folder / f"round-{number}-{in_flight}"
            work.mkdir(parents=True, exist_ok=True)
            for name, command, read in commands(options, url, in_flight, work):
                start, processor_s, peak = run(command, work / f"{name}.log")
                length = options.output_tokens
                known = read() | truth(log, start, length)
                per_1000 = 1000 * processor_s / (REQUESTS_EACH * in_flight * length)
                rows.append(Row(name, in_flight, per_1000, peak, **known))
                print(json.dumps(asdict(rows[-1])), flush=True)
    return rows


def table(rows: Sequence[Row]) -> str:
    """Return medians over the rounds."""
    names = [name for name in Row.__dataclass_fields__ if name not in ("client", "in_flight")]
    lines = [" | ".join(["client", "in flight", *names])]
    for key in dict.fromkeys((row.client, row.in_flight) for row in rows):
        own = [row for row in rows if (row.client, row.in_flight) == key]
        cells = []
        for name in names:
            values = [value for row in own if (value := getattr(row, name)) is not None]
            cells.append(f"{statistics.median(values):.4g}" if values else "–")
        lines.append(" | ".join([key[0], str(key[1]), *cells]))
    return "\n".join(lines)


def main() -> None:
    if sys.argv[1:2] == ["--own"]:
        url, model, server, *numbers, output = sys.argv[2:]
        own_client(url, model, server, *map(int, numbers), output=Path(output))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--aiperf")
    parser.add_argument("--guidellm")
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--url")
    parser.add_argument("--model", default="m")
    parser.add_argument("--server", default="")
    parser.add_argument("--output-tokens", type=int, default=128)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    own = nullcontext((options.url, None))
    with own if options.url else paced_server(options.folder) as (url, log):
        print(table(measure(options, url, log)))


if __name__ == "__main__":
    main()
