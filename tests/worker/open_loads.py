"""Open loads on the virtual engine, measured as in an engine process."""

from collections.abc import Callable
from typing import Any

from tests.worker.virtual_engine import Clock, VirtualEngine

from worker.arrivals import ArrivalRecipe
from worker.harness import measure
from worker.workload import EngineConfig, Sampling, WarmupRules, Workload

Report = dict[str, Any]
PROMPTS = ((1, 2, 3), (4, 5), (6, 7, 8, 9))


def engine_of(clock: Clock, **changes: Any) -> VirtualEngine:
    return VirtualEngine(clock, **({"slots": 8, "prefill_s": 0.05, "token_s": 0.01} | changes))


def workload(
    recipe: ArrivalRecipe, *, output_tokens: int, duration_s: float, cap_s: float = 5.0
) -> Workload:
    return Workload(
        mode="open",
        batch_size=8,
        output_tokens=output_tokens,
        prompts=PROMPTS,
        sampling=Sampling(),
        minimum_duration_s=duration_s,
        tail_s=1.0,
        warmup=WarmupRules(cap_s=cap_s, first_wave_deadline_s=60.0, bound=0.5, minimum_s=1.0),
        arrivals=recipe,
    )


def run_open(
    engine: VirtualEngine,
    recipe: ArrivalRecipe,
    *,
    output_tokens: int = 16,
    duration_s: float = 60.0,
    cap_s: float = 5.0,
    emit: Callable[[Any], None] = lambda _: None,
) -> Report:
    """Return the worker's report of an open load."""
    config = EngineConfig("virtual", "", "auto", context_tokens=4096, slots=8)
    load = workload(recipe, output_tokens=output_tokens, duration_s=duration_s, cap_s=cap_s)
    return measure(engine, config, load, emit=emit)


__all__ = ["Clock", "VirtualEngine", "engine_of", "run_open", "workload"]
