"""Keeps a real engine busy and prints one line for each wave: start, end, output tokens.

Runs in the environment of llama.cpp, as a child of other benchmarks. Times are seconds on
CLOCK_MONOTONIC.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from worker.engines.base import Request, find_engine, resolve_options
from worker.workload import EngineConfig, Sampling

BATCH, OUTPUT_TOKENS, PROMPT = 2, 8, tuple(range(100, 116))


def main() -> None:
    engine = find_engine("llamacpp")()
    config = EngineConfig(
        backend="llamacpp",
        model_path=sys.argv[1],
        dtype="auto",
        context_tokens=128,
        slots=BATCH,
        options=resolve_options(engine.OPTIONS, {"gpu_layers": 0}),
    )
    engine.load(config)
    requests = [Request(i, PROMPT, OUTPUT_TOKENS, Sampling()) for i in range(BATCH)]
    while True:
        start = time.monotonic()
        engine.wave(requests, lambda _request, _ids: None)
        print(start, time.monotonic(), BATCH * OUTPUT_TOKENS, flush=True)


if __name__ == "__main__":
    main()
