"""Power with a known truth for benchmarks: made, or from traces of real GPUs."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from llm_energy.power.series import Samples

Array = NDArray[np.float64]

STEP_S = 0.001
LENGTH_S = 90.0
"""Length of each draw."""


@dataclass(frozen=True)
class Power:
    """True power, straight between its points."""

    at_s: Array
    watts: Array
    joules: Array

    @classmethod
    def of(cls, at_s: Array, watts: Array) -> "Power":
        pieces = np.diff(at_s) * (watts[1:] + watts[:-1]) / 2
        return cls(at_s, watts, np.concatenate([[0.0], np.cumsum(pieces)]))

    def energy(self, until_s: Array | float) -> Array:
        return np.interp(until_s, self.at_s, self.joules)

    def between(self, start_s: float, end_s: float) -> float:
        return float(self.energy(end_s) - self.energy(start_s))

    def with_pause(self, start_s: float, end_s: float, watts: float) -> "Power":
        paused = (self.at_s >= start_s) & (self.at_s < end_s)
        return Power.of(self.at_s, np.where(paused, watts, self.watts))

    def samples(self, at_s: Array) -> Samples:
        return Samples(tuple(at_s), tuple(np.interp(at_s, self.at_s, self.watts)))


Draw = Callable[[np.random.Generator], Power]


def waves(period_s: float, high: float = 600.0, low: float = 200.0, *, uneven: float = 0.0) -> Draw:
    """Two fifths of each wave at high power, as a prefill; `uneven`: relative spread of lengths."""

    def draw(chance: np.random.Generator) -> Power:
        lengths = period_s * chance.normal(1.0, uneven, int(2 * LENGTH_S / period_s)).clip(0.3)
        starts = np.cumsum(lengths) - lengths - chance.uniform(0, period_s)
        at_s = np.arange(0.0, LENGTH_S, STEP_S)
        wave = np.searchsorted(starts, at_s, side="right") - 1
        busy = at_s - starts[wave] < 0.4 * lengths[wave]
        return Power.of(at_s, np.where(busy, high, low))

    return draw


def noise(deviation: float, lasting_s: float) -> Draw:
    """600 W and independent deviations that last a while each."""

    def draw(chance: np.random.Generator) -> Power:
        at_s = np.arange(0.0, LENGTH_S, STEP_S)
        held = chance.normal(600.0, deviation, int(LENGTH_S / lasting_s) + 2)
        return Power.of(at_s, held[(at_s / lasting_s).astype(int)])

    return draw


def from_traces(traces: Sequence[Power]) -> Draw:
    """A stretch from anywhere in one of the traces."""

    def draw(chance: np.random.Generator) -> Power:
        trace = traces[chance.integers(len(traces))]
        begin_s = chance.uniform(trace.at_s[0], trace.at_s[-1] - LENGTH_S)
        inside = (trace.at_s >= begin_s) & (trace.at_s <= begin_s + LENGTH_S)
        at_s = trace.at_s[inside]
        return Power.of(at_s - at_s[0], trace.watts[inside])

    return draw


def read_traces(file: Path) -> Iterator[Power]:
    """One trace for each GPU of a file whose rows are of the GPUs in turn."""
    rows: list[tuple[float, float]] = []
    for line in file.read_text().splitlines()[1:]:
        stamp, watts = (text.strip() for text in line.split(",")[:2])
        try:
            moment = datetime.strptime(stamp, "%Y/%m/%d %H:%M:%S.%f").replace(tzinfo=UTC)
            rows.append((moment.timestamp(), float(watts.removesuffix(" W"))))
        except ValueError:
            continue
    at_s, watts_of = np.array(rows).T
    gpus = int(np.argmax(np.diff(at_s[:64]) > 0.02)) + 1
    for gpu in range(gpus):
        own_s, own_watts = at_s[gpu::gpus], watts_of[gpu::gpus]
        later = np.concatenate([[True], np.diff(np.maximum.accumulate(own_s)) > 0])
        if own_s[later][-1] - own_s[0] > 2 * LENGTH_S:
            yield Power.of(own_s[later] - own_s[0], own_watts[later])
