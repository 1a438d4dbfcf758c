"""Schedules of an open load: when each request arrives, and how long it is. Pure functions.

A schedule follows from its recipe alone, seed and cycle included: all configurations of a cycle get
the same one, at another rate the same one on another time scale. Gaps are never rescaled to hit a
rate, so that a Poisson process stays one and its error of 1/√n is part of the spread over cycles.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

POISSON, GAMMA, CONSTANT, TRACE = "poisson", "gamma", "constant", "trace"
PROCESSES = (POISSON, GAMMA, CONSTANT, TRACE)
FIXED, UNIFORM = "fixed", "uniform"
LENGTHS = (FIXED, UNIFORM, TRACE)

WARM_UP, WINDOW = "warmup", "window"
"""Stretches of a measurement, each with arrivals of its own: warm-ups differ in length."""


@dataclass(frozen=True)
class ArrivalRecipe:
    """All that a schedule follows from."""

    process: str
    """One of `PROCESSES`."""
    rate: float
    """Requests per second; of a trace, those that are kept of it."""
    burstiness: float = 1.0
    """Shape of the gamma distribution of gaps: 1 is Poisson, less comes in clumps."""
    lengths: str = FIXED
    """One of `LENGTHS`."""
    seed: int = 0
    cycle: int = 1
    trace_times_s: tuple[float, ...] = ()
    """The stretch of a trace that the cycle gets, in ascending order, from its start."""
    trace_input_tokens: tuple[int, ...] = ()
    trace_output_tokens: tuple[int, ...] = ()
    trace_span_s: float = 0.0
    """Length of the stretch; it begins again where it ends."""

    def fault(self) -> str | None:
        """Return why there is no schedule of this recipe, None if there is one."""
        if self.process not in PROCESSES:
            return f"arrivals.process: must be one of {', '.join(PROCESSES)}, not {self.process!r}"
        if self.lengths not in LENGTHS:
            return f"arrivals.lengths: must be one of {', '.join(LENGTHS)}, not {self.lengths!r}"
        if self.rate <= 0.0 or self.burstiness <= 0.0:
            return "arrivals: rate and burstiness must be above 0"
        if TRACE in (self.process, self.lengths) and not self._whole_trace():
            return "arrivals: a trace needs times, input and output lengths, and its span"
        return None

    def _whole_trace(self) -> bool:
        count = len(self.trace_times_s)
        lengths = (self.trace_input_tokens, self.trace_output_tokens)
        return 0 < count == len(lengths[0]) == len(lengths[1]) and self.trace_span_s > 0.0

    def longest(self, output_tokens: int) -> int | None:
        """Return the tokens of the longest output; None where the trace has the lengths."""
        if self.lengths == TRACE:
            return None
        return 2 * output_tokens - 1 if self.lengths == UNIFORM else output_tokens


class Arrival(NamedTuple):
    """One request of a schedule."""

    offset_s: float
    """From the start of its stretch."""
    number: int
    """From 0."""
    output_tokens: int
    input_tokens: int | None
    """None for the prompt as it is."""


def schedule(recipe: ArrivalRecipe, *, output_tokens: int, stretch: str) -> Iterator[Arrival]:
    """Yield the arrivals of a stretch in order, without an end.

    Args:
        output_tokens: of each request where lengths are fixed, else their mean.
        stretch: `WARM_UP` or `WINDOW`.
    """
    lengths = Random(f"{recipe.seed}/{recipe.cycle}/{stretch}/lengths")
    count = len(recipe.trace_times_s)
    for number, offset_s in enumerate(_offsets(recipe, stretch)):
        output, prompt = output_tokens, None
        if recipe.lengths == UNIFORM:
            output = 1 + int(lengths.random() * (2 * output_tokens - 1))
        elif recipe.lengths == TRACE:
            place = number % count
            output, prompt = recipe.trace_output_tokens[place], recipe.trace_input_tokens[place]
        yield Arrival(offset_s, number, output, prompt)


def _offsets(recipe: ArrivalRecipe, stretch: str) -> Iterator[float]:
    if recipe.process == TRACE:
        turn_s = 0.0
        while True:
            for time_s in recipe.trace_times_s:
                yield turn_s + time_s
            turn_s += recipe.trace_span_s
    chance = Random(f"{recipe.seed}/{recipe.cycle}/{stretch}/gaps")
    # Arrivals one after the other in units of the mean gap: at another rate the same ones.
    gaps: dict[str, Callable[[], float]] = {
        POISSON: lambda: -math.log(1.0 - chance.random()),
        GAMMA: lambda: chance.gammavariate(recipe.burstiness, 1.0 / recipe.burstiness),
        CONSTANT: lambda: 1.0,
    }
    gap = gaps[recipe.process]
    units = chance.random() if recipe.process == CONSTANT else gap()
    while True:
        yield units / recipe.rate
        units += gap()


def prompt_tokens(
    prompts: tuple[tuple[int, ...], ...], number: int, length: int | None
) -> tuple[int, ...]:
    """Return the prompt of an arrival: that of its turn, or `length` tokens from there on."""
    first = number % len(prompts)
    if length is None:
        return prompts[first]
    ids: list[int] = []
    while len(ids) < length:
        ids += prompts[first]
        first = (first + 1) % len(prompts)
    return tuple(ids[:length])
