"""How much bias a warm-up leaves in the window that follows, by the rule that ends it.

    .venv/bin/python benchmarks/steady_state.py [--runs 100] [--seed 1]

Each run is a series of waves whose true level is known. `bias left` is the mean distance, over the
runs that were declared steady, of the window's true mean from the steady mean; of an endless drift,
which has none, it is the change over the window. `bound` is the median of the stated bounds.
`too early` is the share of all runs that were declared steady and biased by more than the bound
that was stated with them, `never` the share that reached the cap undeclared.

Caps under 60 s let protocol 3 claim only that no drift was seen: there `too early` counts windows
whose mean lies farther than the bound from the mean of the warm-up.

`protocol 2` is the rule of that protocol, kept here for comparison. It tests the trend of the later
half of the waves and bounds the change over those waves, not over the window.
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from llm_energy.measurement.job import STEADY_BOUND, STEADY_BOUND_LIMIT
from worker.steady import SHORT_CAP_S
from worker.warmup import Warmup
from worker.workload import Sampling, WarmupRules, Workload

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Timing:
    """A campaign's cap and window, in s, and the length of its waves."""

    cap_s: float
    window_s: float
    wave_s: float


TIMINGS = [
    *(Timing(180.0, 30.0, wave_s) for wave_s in (0.5, 1.0, 5.0)),
    *(Timing(5.0, 3.0, wave_s) for wave_s in (0.2, 0.5)),
]
"""The defaults for GPUs and for CPUs."""


def no_change(time_s: Array) -> Array:
    return np.zeros_like(time_s)


@dataclass(frozen=True)
class Scenario:
    """A relative level over time, 0 once steady, and the noise of single waves."""

    name: str
    noise: float
    """Coefficient of variation of the waves."""
    level: Callable[[Array], Array] = no_change
    correlation: float = 0.0
    """Lag-1 autocorrelation of the noise."""
    endless: bool = False

    def draw(self, chance: np.random.Generator, runs: int, timing: Timing) -> Array:
        """Return the relative throughput of the waves of each run, up to the cap."""
        count = 2 + math.ceil(timing.cap_s / timing.wave_s)
        noise = chance.normal(0.0, self.noise, (runs, count))
        for wave in range(1, count):
            fresh = math.sqrt(1.0 - self.correlation**2) * noise[:, wave]
            noise[:, wave] = self.correlation * noise[:, wave - 1] + fresh
        return 1.0 + self.mean_level(np.arange(count) * timing.wave_s, timing.wave_s) + noise

    def mean_level(self, start_s: Array, length_s: float) -> Array:
        """Return the mean level over `length_s` from each start."""
        parts = (np.arange(50) + 0.5) / 50.0 * length_s
        return self.level(start_s[:, None] + parts).mean(axis=1)

    def moved(self, seen_s: Array, window_s: float) -> Array:
        """Return how far the window's mean lies from the mean before it."""
        first_s = seen_s[:, None] * (np.arange(500) + 0.5) / 500.0
        return np.abs(self.mean_level(seen_s, window_s) - self.level(first_s).mean(axis=1))

    def bias(self, start_s: Array, window_s: float) -> Array:
        """Return the distance of the window's mean from the steady mean, relative."""
        if self.endless:
            return np.abs(self.level(start_s + window_s) - self.level(start_s))
        return np.abs(self.mean_level(start_s, window_s))


def approach(share: float, tau_s: float) -> Callable[[Array], Array]:
    """Return an exponential approach from `share` below the steady level."""
    return lambda time_s: -share * np.exp(-time_s / tau_s)


def drift(per_s: float) -> Callable[[Array], Array]:
    return lambda time_s: per_s * time_s


def step(share: float, at_s: float) -> Callable[[Array], Array]:
    return lambda time_s: np.where(time_s < at_s, share, 0.0)


def scenarios(timing: Timing) -> Iterator[Scenario]:
    """Yield what is simulated; noise of a level that moves is 1 % of one wave."""
    for noise in (0.01, 0.03, 0.05, 0.08):
        yield Scenario(f"white noise, CV {noise:.0%}", noise)
    for correlation in (0.3, 0.6):
        yield Scenario(f"AR(1) {correlation}, CV 3%", 0.03, correlation=correlation)
    for tau_s in (5.0, 15.0, 30.0, 60.0, 120.0, 300.0):
        for share in (0.02, 0.05, 0.10):
            name = f"approach {share:.0%}, tau {tau_s:g} s"
            yield Scenario(name, 0.01, approach(share, tau_s))
    per_wave = drift(0.002 / timing.wave_s)
    yield Scenario("drift 0.2% per wave", 0.01, per_wave, endless=True)
    yield Scenario("drift 3% per cap", 0.01, drift(0.03 / timing.cap_s), endless=True)
    at_s = timing.cap_s / 9.0
    yield Scenario(f"step of 5% at {at_s:.2g} s", 0.01, step(0.05, at_s))


@dataclass(frozen=True)
class Declared:
    """For each run, the waves until it was declared steady (0: never) and the stated bound."""

    waves: NDArray[np.int64]
    bound: Array
    only_no_drift: bool = False
    """True where the claim is weaker: the window's mean is that of the warm-up."""


def protocol_2(values: Array, timing: Timing) -> Declared:
    """Test the later half of the waves after the first, at each wave, for runs side by side."""
    runs, count = values.shape
    waves = np.zeros(runs, dtype=np.int64)
    bound = np.full(runs, np.nan)
    for seen in range(4, count + 1):
        if (seen - 1) * timing.wave_s < 1.0:  # the least time, the tail's length
            continue
        tested = values[:, max(1, seen - max(8, (seen - 1) // 2)) : seen]
        tested = tested / tested.mean(axis=1, keepdims=True) - 1.0
        size = tested.shape[1]
        order = np.arange(size) - (size - 1) / 2.0
        slope = tested @ order / (order @ order)
        residual = ((tested - slope[:, None] * order) ** 2).sum(axis=1)
        error = np.sqrt(residual / (size - 2) / (order @ order)) * (size - 1)
        half_width = stats.t.ppf(0.95, size - 2) * error
        limit = np.clip(2.0 * half_width, 0.01, 0.03)
        variation = tested.std(axis=1, ddof=1)
        inside = np.abs(slope * (size - 1)) + half_width <= limit
        first = inside & (variation <= 0.1) & (waves == 0)
        waves[first], bound[first] = seen, limit[first]
    return Declared(waves, bound)


def protocol_3(values: Array, timing: Timing) -> Declared:
    """Run the warm-up of the worker on each run."""
    rules = WarmupRules(timing.cap_s, 900.0, STEADY_BOUND, STEADY_BOUND_LIMIT, minimum_s=1.0)
    workload = Workload("waves", 1, 1, ((1,),), Sampling(), timing.window_s, 1.0, rules)
    waves = np.zeros(len(values), dtype=np.int64)
    bound = np.full(len(values), np.nan)
    for run, rates in enumerate(values):
        warmup = Warmup(workload, emit=lambda _: None, host_steady=lambda: True)
        for wave, rate in enumerate(rates):
            start_s = wave * timing.wave_s
            if warmup.add(start_s, start_s + timing.wave_s, round(1e6 * rate * timing.wave_s)):
                break
        if warmup.passed:
            waves[run], bound[run] = warmup.waves, warmup.report()["bound"]
    return Declared(waves, bound, only_no_drift=timing.cap_s < SHORT_CAP_S)


RULES = {"protocol 2": protocol_2, "protocol 3": protocol_3}


def outcome(scenario: Scenario, timing: Timing, declared: Declared) -> str:
    """Return the four columns of one rule."""
    steady = declared.waves > 0
    if not steady.any():
        return f"{'':>8} {'':>7} {0:>9.1%} {1:>7.1%}"
    opened_s = declared.waves[steady] * timing.wave_s
    bias = scenario.bias(opened_s, timing.window_s)
    wrong = scenario.moved(opened_s, timing.window_s) if declared.only_no_drift else bias
    early = (wrong > declared.bound[steady]).sum() / steady.size
    bound = np.median(declared.bound[steady])
    return f"{bias.mean():>8.2%} {bound:>7.2%} {early:>9.1%} {1.0 - steady.mean():>7.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    columns = f"{'bias left':>9} {'bound':>6} {'too early':>9} {'never':>7}"
    for timing in TIMINGS:
        print(
            f"\ncap {timing.cap_s:g} s, window {timing.window_s:g} s, waves {timing.wave_s:g} s: "
            + ", ".join(RULES)
        )
        print(f"{'':<26}" + " | ".join(columns for _ in RULES))
        for scenario in scenarios(timing):
            chance = np.random.default_rng(options.seed)
            values = scenario.draw(chance, options.runs, timing)
            cells = [outcome(scenario, timing, rule(values, timing)) for rule in RULES.values()]
            print(f"{scenario.name:<26}" + " | ".join(cells), flush=True)


if __name__ == "__main__":
    main()
