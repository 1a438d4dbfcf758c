"""Rules about a device or a run for `coverage.py`: two sensors, idle power, carry-over."""

from collections.abc import Iterator

import numpy as np
from before_after import SPREAD, Array, Row

from llm_energy.analysis.energy_uncertainty import disagreement
from llm_energy.measurement import host_idle
from llm_energy.power.baseline import standard_error
from llm_energy.power.sensor_limits import LIMITS
from llm_energy.results.energy import DeviceEnergy, Energy
from llm_energy.runs.run_records import HostIdle
from llm_energy.stats.block_effects import Observation, predecessor_effects, slope_effect
from llm_energy.stats.intervals import t_quantile

APART = 0.2
"""Distance of a board's two sensors over the energy."""
RATE_HZ, SCATTER, RHO = 10, 0.1, 0.95
"""Idle power: samples in a second, their spread over the mean, correlation of neighbours."""
NAMES, CYCLES, EFFECT = "abcd", 8, 0.05
NOISE = 0.01


def rows(chance: np.random.Generator, samples: int) -> Iterator[Row]:
    for n in (3, 5, 10):
        yield two_sensors(chance, samples, n)
    for duration_s in (2, 5, 30):
        yield constant_idle(chance, samples // 20, duration_s)
    yield from carry_over(chance, samples // 20)


def two_sensors(chance: np.random.Generator, samples: int, n: int) -> Row:
    """Total intervals of a board whose truth lies anywhere between its two sensors."""
    device = DeviceEnergy.model_construct(
        counted=True, counter_joules=100.0, integrated_instant_joules=100.0 * (1.0 + APART)
    )
    energy = Energy.model_construct(energy_joules=100.0, devices=[device])
    values = chance.normal(1.0, SPREAD, (samples, n))
    mean = values.mean(axis=1)
    repeated = t_quantile(n - 1) * values.std(axis=1, ddof=1) / np.sqrt(n)
    off = np.abs(mean - 1.0 - chance.uniform(0.0, APART, samples))
    shares = [
        float((off <= np.hypot(repeated, limit * mean)).mean())
        for limit in (LIMITS["gpu_board"].gain_relative, disagreement(energy))
    ]
    return Row("total interval", f"two sensors {APART:.0%} apart", n, *shares)


def constant_idle(chance: np.random.Generator, pairs: int, duration_s: int) -> Row:
    """Two idle phases of one constant device that are not called a drift."""

    def idle() -> tuple[float, HostIdle]:
        watts = 50.0 * (1.0 + SCATTER * correlated(chance, RATE_HZ * duration_s))
        error = standard_error(watts.tolist()) or 0.0
        return float(watts.mean()), HostIdle(0.0, {"d": float(watts.mean())}, {"d": error})

    kept = np.zeros(2)
    for _ in range(pairs):
        (first_watts, first), (watts, now) = idle(), idle()
        kept[0] += abs(watts - first_watts) <= host_idle.DRIFT_LIMIT * first_watts
        kept[1] += not host_idle.flags(now, first, ["d"])
    data = f"constant, scatter {SCATTER:.0%}, rho {RHO}; {duration_s} s"
    return Row("no `idle_drift`", data, None, *(kept / pairs).tolist(), target=None)


def correlated(chance: np.random.Generator, count: int) -> Array:
    """A first-order autoregression with mean 0 and variance 1."""
    values = chance.normal(size=count)
    for place in range(1, count):
        values[place] = RHO * values[place - 1] + np.sqrt(1.0 - RHO**2) * values[place]
    return values


def carry_over(chance: np.random.Generator, campaigns: int) -> Iterator[Row]:
    """Intervals of a planted effect, in randomised cycles of four experiments."""
    for factor in ("place", "predecessor"):
        found = [holds(chance, factor) for _ in range(campaigns)]
        held = np.mean([each for each in found if each is not None])
        data = f"{EFFECT:.0%} by {factor}, noise {NOISE:.0%}"
        yield Row("interval of carry-over", data, CYCLES, None, float(held))


def holds(chance: np.random.Generator, factor: str) -> bool | None:
    """Return True where the interval of one campaign holds the effect of `factor`; None where its
    order leaves none to be estimated."""
    effect, found, places, before = np.log1p(EFFECT), [], [], []
    previous = NAMES[0]
    for cycle in range(CYCLES):
        for place, number in enumerate(chance.permutation(len(NAMES)).tolist()):
            planted = place / (len(NAMES) - 1) if factor == "place" else previous == NAMES[1]
            log = number + 0.1 * cycle + effect * planted + chance.normal(0.0, NOISE)
            found.append(Observation(NAMES[number], cycle, float(np.exp(log))))
            places.append(place)
            before.append(previous)
            previous = NAMES[number]
    if factor == "place":
        estimate, truth = slope_effect(found, places), EFFECT
    else:
        estimates = predecessor_effects(found, before, 1.0 - 0.05 * len(NAMES))
        estimate, truth = estimates.get(NAMES[1]), np.expm1(effect * (1.0 - 1.0 / len(NAMES)))
    return None if estimate is None else bool(estimate.low <= truth <= estimate.high)
