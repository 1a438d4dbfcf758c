"""How often windows are flagged as drifting, by the limit alone and with what scatter explains.

    .venv/bin/python benchmarks/window_drift.py [--windows 500]

Power read at 10 Hz is constant, or drifts, and scatters as a first-order autoregression does
(`rho` is the correlation of neighbouring samples). Throughput follows the same rule.

Target: at most 5 % of constant windows where scatter lasts a twentieth of the window or less (0.9
is 1 s). Where it lasts a tenth, 5 to 7 % are flagged.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from before_after import Row

from llm_energy.measurement.window_drift import DRIFT_LIMIT, drifts, scatter_limit
from llm_energy.power.accounting import PIECES
from worker.courses import Wave

RATE_HZ = 10
WINDOWS_S = (5, 10, 30, 120)
LASTING = 20.0
"""A window must be so many times longer than its scatter lasts to have a target."""

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


def lasting_s(rho: float) -> float:
    """How long samples depend on each other."""
    return -1.0 / (RATE_HZ * np.log(rho)) if rho > 0.0 else 0.0


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


@dataclass(frozen=True)
class Flagged:
    """Shares of windows that are flagged."""

    power: str
    variation: float
    rho: float
    window_s: int
    before: float
    after: float


def simulated(windows: int) -> Iterator[Flagged]:
    """Each case at each length of the window."""
    chance = np.random.default_rng(2026)
    for name, course, variation, rho in CASES:
        for window_s in WINDOWS_S:
            time = np.linspace(0.0, 1.0, RATE_HZ * window_s)
            flags = [
                judged(1.0 + course(time) + variation * scatter(chance, len(time), rho))
                for _ in range(windows)
            ]
            yield Flagged(name, variation, rho, window_s, *np.mean(flags, axis=0).tolist())


def rows(windows: int) -> Iterator[Row]:
    """The rows of `coverage.py`: constant windows without a flag, and changes that have one."""
    for found in simulated(windows):
        data = f"{found.power}, scatter {found.variation:.0%}, rho {found.rho}; {found.window_s} s"
        if found.power == "constant":
            target = 0.95 if found.window_s >= LASTING * lasting_s(found.rho) else None
            shares = 1.0 - found.before, 1.0 - found.after
            yield Row("no flag of a drift", data, None, *shares, target=target)
        else:
            yield Row("flag of a drift", data, None, found.before, found.after, target=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--windows", type=int, default=500, help="windows for each line")
    windows = parser.parse_args().windows
    print(f"{'power':16}{'scatter':>8}{'rho':>6}{'window':>9}{'before':>9}{'after':>9}")
    for f in simulated(windows):
        about = f"{f.power:16}{f.variation:8.0%}{f.rho:6}{f.window_s:7} s"
        print(f"{about}{f.before:9.1%}{f.after:9.1%}", flush=True)


if __name__ == "__main__":
    main()
