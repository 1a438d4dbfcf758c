"""Runs one load on one engine with and without a time stamp for each token, in turns.

    {interpreter of the engine's environment} benchmarks/timestamps_load.py < question

Question and answer are JSON. The answer is a list of pairs: the seconds of a wave with a time stamp
for each token, and without. Which of the two comes first is drawn for each pair. Runs as a child of
benchmarks/timestamps.py.
"""

import json
import os
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from worker.engines.base import Engine, Request, find_engine, resolve_options
from worker.workload import EngineConfig, Sampling

WARM_UP_WAVES = 2
PROMPT_TOKENS = 16


def wave_s(engine: Engine, requests: list[Request], *, each_token: bool) -> float:
    """Seconds that the wave takes to its last token."""
    engine.each_token = each_token
    last = start = time.monotonic()

    def stamp(_request: Request, _ids: object) -> None:
        nonlocal last
        last = time.monotonic()

    engine.wave(requests, stamp)
    return last - start


def main() -> None:
    asked = json.load(sys.stdin)
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)  # what engines print must not mix with the answer
        engine = find_engine(asked["backend"])()
        options = resolve_options(engine.OPTIONS, asked["options"])
        os.environ.update(engine.environment(options))
        batch, tokens = asked["batch_size"], asked["output_tokens"]
        config = EngineConfig(
            backend=asked["backend"],
            model_path=asked["model_path"],
            dtype="auto",
            context_tokens=PROMPT_TOKENS + tokens,
            slots=batch,
            options=options,
        )
        engine.load(config)
        prompts = [tuple(range(100 + i, 100 + i + PROMPT_TOKENS)) for i in range(batch)]
        requests = [Request(i, prompt, tokens, Sampling()) for i, prompt in enumerate(prompts)]
        chance = random.Random(2026)
        pairs = []
        for number in range(-WARM_UP_WAVES, asked["pairs"]):
            order = chance.sample([True, False], 2)
            taken = {each: wave_s(engine, requests, each_token=each) for each in order}
            if number >= 0:
                pairs.append((taken[True], taken[False]))
        engine.close()
        answers.write(json.dumps(pairs) + "\n")


if __name__ == "__main__":
    main()
