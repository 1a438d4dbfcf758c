"""How often windows are flagged as drifting, by the limit alone and with what scatter explains.

    .venv/bin/python benchmarks/window_drift.py [--windows 500]

Power read at 10 Hz is constant, or drifts, and scatters as a first-order autoregression does
(`rho` is the correlation of neighbouring samples). Throughput follows the same rule.

Target: at most 5 % of constant windows where scatter lasts a tenth of the window or less (0.9 is
1 s), and at least 80 % of changes that are five times their standard error.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from llm_energy.measurement.window_drift import DRIFT_LIMIT, drifts, scatter_limit
from llm_energy.power.accounting import PIECES
from worker.courses import Wave

RATE_HZ = 10
WINDOWS_S = (5, 10, 30, 120)

CASES: tuple[tuple[str, Callable[[np.ndarray], np.ndarray], float, float], ...] = (
    ("constant", np.zeros_like, 0.10, 0.0),
    ("constant", np.zeros_like, 0.10, 0.5),
    ("constant", np.zeros_like, 0.10, 0.9),
    ("constant", np.zeros_like, 0.10, 0.97),
    ("constant", np.zeros_like, 0.30, 0.9),
    ("line, 6 %", lambda t: 0.06 * t, 0.02, 0.5),
    ("line, 10 %", lambda t: 0.10 * t, 0.02, 0.9),
    ("step, 10 %", lambda t: 0.10 * (t > 0.5), 0.02, 0.9),
    ("approach, 10 %", lambda t: -0.10 * np.exp(-4.0 * t), 0.02, 0.9),
)


def scatter(chance: np.random.Generator, count: int, rho: float) -> np.ndarray:
    """An autoregression with mean 0 and variance 1."""
    values = chance.normal(size=count)
    for place in range(1, count):
        values[place] = rho * values[place - 1] + np.sqrt(1.0 - rho**2) * values[place]
    return values


def judged(power: np.ndarray) -> tuple[bool, bool]:
    """Flagged by the limit alone, and by today's rule."""
    pieces = [
        Wave(n / PIECES, (n + 1) / PIECES, float(part.mean()) / PIECES)
        for n, part in enumerate(np.array_split(power, PIECES))
    ]
    third = len(power) // 3
    change = float(power[-third:].mean() / power[:third].mean() - 1.0)
    limit = scatter_limit(pieces, third=PIECES // 3)
    return abs(change) > DRIFT_LIMIT, drifts(change, limit)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--windows", type=int, default=500, help="windows for each line")
    windows = parser.parse_args().windows
    chance = np.random.default_rng(2026)
    print(f"{'power':16}{'scatter':>8}{'rho':>6}{'window':>9}{'before':>9}{'after':>9}")
    for name, course, variation, rho in CASES:
        for window_s in WINDOWS_S:
            time = np.linspace(0.0, 1.0, RATE_HZ * window_s)
            flags = [
                judged(1.0 + course(time) + variation * scatter(chance, len(time), rho))
                for _ in range(windows)
            ]
            before, after = np.mean(flags, axis=0)
            print(
                f"{name:16}{variation:8.0%}{rho:6}{window_s:7} s{before:9.1%}{after:9.1%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
