"""Cost of a time stamp for each token: the same load with and without, on each real engine.

    .venv/bin/python benchmarks/timestamps.py [--pairs 20] [--batch 4] [--tokens 32] [--only vllm]

Without them an engine hands over the tokens of a request together at its end: vLLM puts out final
outputs only, Transformers has no streamer, llama.cpp does not stream. Engines and models are those
that the workflow made ready, or that the environment names as it does for the tests (see
tests/conftest.py). Compare on an idle machine; what a loaded one shows is its own noise.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from tests.conftest import ready_engines  # noqa: E402

from llm_energy.stats.paired_ratios import paired_ratio  # noqa: E402

ENGINES = (
    ("llamacpp", "GGUF", {"gpu_layers": 0}),
    ("pytorch", "HF_MODEL", {}),
    ("vllm", "HF_MODEL", {"mode": "in_process"}),
    ("vllm", "HF_MODEL", {"mode": "async"}),
)
"""Backend, the model that it reads, its options."""


def run(python: str, question: dict[str, Any]) -> list[tuple[float, float]]:
    """(with, without) seconds of each pair of waves."""
    child = subprocess.run(
        [python, str(ROOT / "benchmarks/timestamps_load.py")],
        input=json.dumps(question),
        capture_output=True,
        text=True,
    )
    if child.returncode != 0:
        sys.exit(f"{question['backend']} failed:\n{child.stderr[-2000:]}")
    return [(stamped, plain) for stamped, plain in json.loads(child.stdout)]


def line(name: str, pairs: list[tuple[float, float]]) -> str:
    """Throughput with time stamps in relation to that without, with its spread over the pairs."""
    compared = paired_ratio(
        {n: 1 / plain for n, (_, plain) in enumerate(pairs)},
        {n: 1 / stamped for n, (stamped, _) in enumerate(pairs)},
    )
    assert compared is not None
    interval = compared.interval()
    limits = "too few pairs" if interval is None else f"{interval.low:.4f} to {interval.high:.4f}"
    wave_s = median(plain for _, plain in pairs)
    return f"{name:18}{compared.ratio:10.4f}{limits:>20}{wave_s:12.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=20, help="of waves (default 20)")
    parser.add_argument("--batch", type=int, default=4, help="requests of a wave (default 4)")
    parser.add_argument("--tokens", type=int, default=32, help="output tokens (default 32)")
    parser.add_argument("--only", help="one backend")
    asked = parser.parse_args()
    found = dict(ready_engines()) | dict(os.environ)
    print(f"{'throughput':18}{'with/out':>10}{'95 % interval':>20}{'wave s':>12}", flush=True)
    for backend, model, options in ENGINES:
        name = " ".join([backend, str(options.get("mode", ""))])
        python = found.get(f"LLM_ENERGY_TEST_{backend.upper()}_PYTHON")
        path = found.get(f"LLM_ENERGY_TEST_{model}")
        if asked.only not in (None, backend):
            continue
        if python is None or path is None:
            print(f"{name:18} not ready")
            continue
        question = {"backend": backend, "model_path": path, "options": options}
        question |= {"batch_size": asked.batch, "output_tokens": asked.tokens}
        print(line(name, run(python, question | {"pairs": asked.pairs})), flush=True)


if __name__ == "__main__":
    main()
