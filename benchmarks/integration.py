"""Error of an integrated energy against the truth: ours beside two common ways.

    .venv/bin/python benchmarks/integration.py [--windows 400] [--rate 10]

A load between two idle stretches is sampled as three kinds of sensor would, and read over random
windows of 0.5 to 300 s inside it. `first to last` is the trapezoid over the samples inside the
window; `mean × time` is their mean times the window's length. Loads: `steady` scatters by 1 % and
drifts by 1 % per minute; `decode` has 20 ms of each 55 ms at half power on top. The target is for
the ideal sensor on the steady load; what a real sensor does not see no integral brings back.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from llm_energy.power.integration import integrate
from llm_energy.power.series import Samples

Array = NDArray[np.float64]

STEP_S = 0.001
IDLE_WATTS, LOAD_WATTS = 100.0, 600.0
EDGE_S = 1.5
"""Load before and after each window, and idle around that: as warm-up and tail give it."""

LOADS = ("steady", "decode")
CLASSES = ((0.5, 1.0), (1.0, 5.0), (5.0, 30.0), (30.0, 300.0))
MEAN_TARGET, WORST_TARGET, TARGET_FROM_S = 0.001, 0.005, 5.0


@dataclass(frozen=True)
class Power:
    """True power, constant over each step of `STEP_S` from 0 on."""

    watts: Array
    joules: Array
    """From 0 to the end of each step, with a 0 before."""

    @classmethod
    def of(cls, watts: Array) -> "Power":
        return cls(watts, np.concatenate([[0.0], np.cumsum(watts) * STEP_S]))

    def energy(self, start_s: Array, end_s: Array) -> Array:
        at = np.arange(len(self.joules)) * STEP_S
        return np.interp(end_s, at, self.joules) - np.interp(start_s, at, self.joules)


def load(kind: str, duration_s: float, chance: np.random.Generator) -> Power:
    """Idle, the load for `duration_s` with `EDGE_S` on both sides, idle."""
    count = round((duration_s + 2 * EDGE_S) / STEP_S)
    at = np.arange(count) * STEP_S
    correlated = np.repeat(chance.normal(0.0, 0.01, count // 500 + 1), 500)[:count]
    watts = LOAD_WATTS * (1.0 + correlated + 0.01 * at / 60.0)
    if kind == "decode":
        watts *= np.where((at + chance.uniform(0.0, 0.055)) % 0.055 < 0.020, 0.5, 1.0)
    idle = np.full(round(2.0 / STEP_S), IDLE_WATTS)
    return Power.of(np.concatenate([idle, watts, idle]))


def ideal(power: Power, at_s: Array) -> Array:
    return power.watts[(at_s / STEP_S).astype(int)]


def window_25_of_100(power: Power, at_s: Array) -> Array:
    look = np.floor((at_s - 0.025) / 0.1) * 0.1
    return power.energy(look, look + 0.025) / 0.025


def average_1_s(power: Power, at_s: Array) -> Array:
    update = np.floor(at_s / 0.1) * 0.1
    return power.energy(update - 1.0, update)


SENSORS: dict[str, Callable[[Power, Array], Array]] = {
    "ideal point": ideal,
    "25 of 100 ms": window_25_of_100,
    "1 s average": average_1_s,
}


def ours(at_s: Array, watts: Array, start_s: float, end_s: float) -> float:
    amount = integrate(Samples(tuple(at_s), tuple(watts)), start_s, end_s, update_period_s=None)
    assert amount.joules is not None, amount.reason
    return amount.joules


def first_to_last(at_s: Array, watts: Array, start_s: float, end_s: float) -> float:
    inside = (at_s >= start_s) & (at_s <= end_s)
    return float(np.trapezoid(watts[inside], at_s[inside]))


def mean_times_time(at_s: Array, watts: Array, start_s: float, end_s: float) -> float:
    inside = (at_s >= start_s) & (at_s <= end_s)
    return float(watts[inside].mean()) * (end_s - start_s)


METHODS = {"ours": ours, "first to last": first_to_last, "mean × time": mean_times_time}


def errors(
    sensor: str, kind: str, lengths: tuple[float, float], *, windows: int, rate_hz: float, seed: int
) -> dict[str, Array]:
    """Relative errors by method over random windows of lengths in that range."""
    chance = np.random.default_rng(seed)
    found: dict[str, list[float]] = {method: [] for method in METHODS}
    for _ in range(windows):
        duration_s = float(np.exp(chance.uniform(*np.log(lengths))))
        power = load(kind, duration_s, chance)
        count = int((len(power.watts) * STEP_S - 0.2) * rate_hz)
        at_s = 0.1 + (np.arange(count) + chance.uniform()) / rate_hz
        at_s = np.sort(at_s + chance.normal(0.0, 0.001, count))
        at_s = at_s[(at_s > 1.2) & (at_s < len(power.watts) * STEP_S - 0.01)]
        watts = SENSORS[sensor](power, at_s)
        start_s = 2.0 + EDGE_S
        true = float(power.energy(np.array(start_s), np.array(start_s + duration_s)))
        for name, method in METHODS.items():
            found[name].append(method(at_s, watts, start_s, start_s + duration_s) / true - 1.0)
    return {name: np.array(values) for name, values in found.items()}


def line(name: str, found: dict[str, Array]) -> str:
    sizes = {method: np.abs(values) for method, values in found.items()}
    cells = [
        f"{found[method].mean():+12.3%}{sizes[method].mean():10.3%}{sizes[method].max():10.3%}"
        for method in METHODS
    ]
    return f"{name:38}" + "".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--windows", type=int, default=400, help="for each line (default 400)")
    parser.add_argument("--rate", type=float, default=10.0, help="samples per second (default 10)")
    asked = parser.parse_args()
    print(" " * 38 + "".join(f"{method:>32}" for method in METHODS))
    head = f"{'mean':>12}{'|mean|':>10}{'worst':>10}"
    print(f"{'sensor, load, window in s':38}" + head * len(METHODS))
    targeted = []
    for kind, (sensor, lengths) in product(LOADS, product(SENSORS, CLASSES)):
        found = errors(sensor, kind, lengths, windows=asked.windows, rate_hz=asked.rate, seed=2026)
        print(line(f"{sensor}, {kind}, {lengths[0]:g} to {lengths[1]:g}", found))
        if (sensor, kind) == ("ideal point", "steady") and lengths[0] >= TARGET_FROM_S:
            targeted.append(found)
    sizes, simple = (
        np.abs(np.concatenate([found[method] for found in targeted]))
        for method in ("ours", "first to last")
    )
    met = sizes.mean() < MEAN_TARGET and sizes.max() < WORST_TARGET
    print(
        f"ideal point, steady, from {TARGET_FROM_S:g} s: mean {sizes.mean():.4%} (target under "
        f"{MEAN_TARGET:.1%}), worst {sizes.max():.3%} (under {WORST_TARGET:.1%}), "
        f"{simple.mean() / sizes.mean():.0f} times less than first to last: "
        f"{'met' if met else 'MISSED'}"
    )
    sys.exit(not met)


if __name__ == "__main__":
    main()
