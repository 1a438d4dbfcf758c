"""Checks of a result of load mode `open` against its requests and its schedule."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

from llm_energy.measurement.arrival_recipes import recipe_from
from llm_energy.measurement.open_requests import Request, arrived
from llm_energy.measurement.open_window import flags, open_load
from llm_energy.results.result import Result
from worker.arrivals import TRACE, WINDOW, schedule

SCHEDULE_S = 1e-6
"""Difference of two times that are the same."""

DETERMINED_FLAGS = {
    *("saturated", "saturation_undecided", "client_late", "long_requests", "requests_failed"),
    "rate_off",
}


def differences(
    result: Result, requests: Sequence[Request], *, idle_joules: float | None
) -> Iterator[str]:
    """Yield a sentence for each number that its requests contradict, and for another schedule.

    Args:
        idle_joules: energy of the window without a request in flight, from the power series.
    """
    stated, window = result.open_load, result.window
    assert stated is not None
    assert window is not None
    span = (window.start_monotonic_s, window.end_monotonic_s)
    again = open_load(
        requests,
        span,
        objectives=stated.attained.objectives if stated.attained else None,
        joules=result.energy.energy_joules,
        # Earlier versions record none where the counter stood still in a single gap.
        idle_joules=None if stated.idle_energy_share is None else idle_joules,
        # Results from before there was a reason hold the overlap that their client saw.
        is_server=result.of_server and stated.batch_size_reason is not None,
    )
    yield from _unlike("open_load", again.model_dump(), stated.model_dump())
    counted = arrived(requests, span)
    recipe = recipe_from(result.settings.resolved, cycle=result.cycle)
    if TRACE not in (recipe.process, recipe.lengths):
        length = result.settings.resolved["output_tokens"]
        within_s = span[1] - span[0] - SCHEDULE_S
        planned = list(
            takewhile(
                lambda arrival: len(counted) > arrival.number or arrival.offset_s < within_s,
                schedule(recipe, output_tokens=length, stretch=WINDOW),
            )
        )
        for request, arrival in zip(counted, planned, strict=False):
            offset_s = request["scheduled"] - span[0]
            if abs(offset_s - arrival.offset_s) > SCHEDULE_S:
                yield f"its arrival {arrival.number} is not that of its schedule"
                break
            if request["requested"] != arrival.output_tokens:
                yield f"its arrival {arrival.number} has not the length of its schedule"
                break
        else:
            if len(planned) > len(counted):
                yield f"its schedule has {len(planned)} arrivals in its window, not {len(counted)}"
    if result.latency is not None:
        raised = flags(again, result.latency, duration_s=window.duration_s, recipe=recipe)
        follow = {flag.code for flag in raised}
        found = {flag.code for flag in result.flags} & DETERMINED_FLAGS
        for code in sorted(follow ^ found):
            yield f"its requests {'raise' if code in follow else 'do not raise'} the flag {code}"


def _unlike(name: str, again: Any, stated: Any) -> Iterator[str]:
    if isinstance(again, Mapping) and isinstance(stated, Mapping):
        for key, value in again.items():
            yield from _unlike(f"{name}.{key}", value, stated.get(key))
    elif isinstance(again, list) and isinstance(stated, list) and len(again) == len(stated):
        for number, pair in enumerate(zip(again, stated, strict=True)):
            yield from _unlike(f"{name}[{number}]", *pair)
    elif again != stated and not (
        isinstance(again, float)
        and isinstance(stated, float)
        and math.isclose(again, stated, rel_tol=1e-6, abs_tol=1e-9)
    ):
        yield f"its requests give {name} {again}, it records {stated}"
