"""Recipes of the arrivals of an open load: as declared, and for one cycle with its stretch."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_energy.system.errors import PromptError
from worker.arrivals import TRACE, ArrivalRecipe
from worker.steady import LEAST_BOUND

if TYPE_CHECKING:  # the campaign's models would cost every measuring job 0.1 s
    from llm_energy.campaign.experiment_settings import Settings
    from llm_energy.campaign.identity import Declared

ALL_OF_A_TRACE = 1e9
"""Rate of arrivals that keeps all of a trace."""

LARGEST_BOUND = 0.5
NOISE_ERRORS = 8.0
"""A warm-up bounds a bias to about so many standard errors of its arrivals, at best."""


@dataclass(frozen=True)
class TraceFile:
    """A trace of arrivals as a measuring job finds it."""

    path: str
    sha256: str
    model: str | None

    @classmethod
    def of(cls, declared: "Declared | None") -> "TraceFile | None":
        """Return the file of a declared trace; None without one."""
        if declared is None:
            return None
        path = str(Path(declared.config.file).absolute())
        return cls(path, declared.identity["sha256"], declared.identity["model"])


def declared_arrivals(settings: "Settings") -> ArrivalRecipe | None:
    """Return the recipe of an experiment, without cycle and trace; None in other load modes."""
    return recipe_from(settings.resolved()) if settings.load_mode == "open" else None


def recipe_from(resolved: Mapping[str, Any], *, cycle: int = 1) -> ArrivalRecipe:
    """Return the recipe of resolved settings of load mode `open`."""
    arrivals = resolved["arrivals"]
    return ArrivalRecipe(
        process=arrivals["process"],
        rate=resolved["request_rate"] or ALL_OF_A_TRACE,
        burstiness=arrivals["burstiness"],
        lengths=arrivals["lengths"],
        seed=arrivals["seed"],
        cycle=cycle,
    )


def bound_of(rate: float | None, cap_s: float) -> float:
    """Return the bias, relative, that a warm-up can exclude at best: arrivals scatter by 1/√n.

    Args:
        rate: requests per second; None where a trace has them.
        cap_s: longest warm-up.
    """
    arrivals = max(1.0, (rate or 1.0) * cap_s)
    return max(LEAST_BOUND, min(LARGEST_BOUND, NOISE_ERRORS / math.sqrt(arrivals)))


def of_cycle(
    recipe: ArrivalRecipe, trace: TraceFile | None, *, cycle: int, length_s: float
) -> ArrivalRecipe:
    """Return the recipe of a cycle, with the stretch of the trace that it gets.

    Raises:
        PromptError: the trace is not the declared one.
    """
    recipe = replace(recipe, cycle=cycle)
    if trace is None or TRACE not in (recipe.process, recipe.lengths):
        return recipe
    from llm_energy.campaign.arrival_trace import read_trace

    path = Path(trace.path)
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != trace.sha256:
        raise PromptError(f"{path} is not the trace that was declared; restore it, or start again")
    whole = read_trace(path, model=trace.model)
    drawn = recipe.process != TRACE  # of the trace only the lengths count, all of them
    rate = whole.rate if drawn or recipe.rate == ALL_OF_A_TRACE else recipe.rate
    length_s = whole.span_s if drawn else min(length_s, whole.span_s)
    rows = whole.stretch(seed=recipe.seed, cycle=cycle, rate=rate, length_s=length_s)
    if not rows:
        raise PromptError(f"{path} has no request in the stretch of cycle {cycle}; set a rate")
    return replace(
        recipe,
        rate=recipe.rate if drawn else rate,
        trace_times_s=tuple(row.time_s for row in rows),
        trace_input_tokens=tuple(row.input_tokens for row in rows),
        trace_output_tokens=tuple(row.output_tokens for row in rows),
        trace_span_s=length_s,
    )
