"""Results of load mode `open`, from requests of the engine in virtual time. No number in here was
measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.llm_energy.make_results import SETTINGS, make_result, specification
from tests.worker.open_loads import PROMPTS, Clock, VirtualEngine, run_open

from llm_energy.campaign.identity import PROTOCOL_VERSION
from llm_energy.measurement import flags, window
from llm_energy.measurement.arrival_recipes import recipe_from
from llm_energy.measurement.open_window import flags as open_flags
from llm_energy.measurement.open_window import open_load
from llm_energy.measurement.request_numbers import request_numbers
from llm_energy.measurement.steadiness import judged
from llm_energy.results.layout import result_path, side_path
from llm_energy.results.open_load import Objectives
from llm_energy.results.parts import Phase, Window
from llm_energy.results.result import Result
from llm_energy.results.side_files import write_requests

OBJECTIVES = Objectives(time_to_first_token_s=0.2, end_to_end_s=1.0)
ARRIVALS = {"process": "poisson", "burstiness": 1.0, "lengths": "fixed", "seed": 1}


def make_open_result(
    folder: Path,
    clock: Clock,
    *,
    rate: float,
    cycle: int = 1,
    experiment: str | None = None,
    duration_s: float = 20.0,
    objectives: Objectives | None = OBJECTIVES,
    settings: Mapping[str, Any] = {},
    service: Mapping[str, Any] = {},
    is_server: bool = False,
) -> Result:
    """Return a result with its requests beside it, on an engine of 22.9 requests per second."""
    name = experiment or f"serving_rate{rate:g}"
    own = {"load_mode": "open", "request_rate": rate, "arrivals": ARRIVALS} | dict(settings)
    recipe = recipe_from(SETTINGS | own, cycle=cycle)
    engine = VirtualEngine(clock, **({"slots": 8, "prefill_s": 0.05, "token_s": 0.02} | service))
    report = run_open(engine, recipe, duration_s=duration_s)
    start, end = report["window"]["start"], report["window"]["end"]
    plain = make_result(
        name, cycle=cycle, settings=own, load_mode="open", protocol=PROTOCOL_VERSION
    )
    spec = specification(name, SETTINGS | own, PROTOCOL_VERSION)
    spec |= {"measurement": spec["measurement"] | {"minimum_duration_s": duration_s}}
    found = request_numbers(
        report["requests"], input_lengths=[3, 2, 4], start=start, end=end, is_open=True
    )
    load = open_load(
        report["requests"],
        (start, end),
        objectives=objectives,
        joules=None,
        idle_joules=None,
        is_server=is_server,
    )
    raised = open_flags(load, found.latency, duration_s=end - start, recipe=recipe)
    raised += flags.of_measurement(
        drift=found.drift, duration_s=end - start, minimum_duration_s=duration_s
    )
    path = result_path(plain.spec_hash, cycle)
    side = write_requests(
        folder, side_path(path, "requests"), report["requests"], input_lengths=[3, 2, 4]
    )
    phases = [p for p in plain.phases if p.name in ("load", "idle")]
    phases += [
        Phase(name=n, start_monotonic_s=report[n]["start"], end_monotonic_s=report[n]["end"])
        for n in ("warmup", "window", "tail")
    ]
    assert plain.window is not None
    result = plain.model_copy(
        update={
            "open_load": load,
            "latency": found.latency,
            "tokens": found.tokens,
            "drift": found.drift,
            "output_tokens_per_second": found.tokens.output / (end - start),
            "requests_per_second": found.tokens.requests / (end - start),
            "window": Window(
                start_monotonic_s=start,
                end_monotonic_s=end,
                start_wall=plain.window.start_wall,
                end_wall=plain.window.end_wall,
                duration_s=end - start,
                waves=None,
                passes=None,
            ),
            "warmup": window.warmup(report["warmup"]),
            "phases": phases,
            "flags": raised,
            "side_files": {"requests": side},
            "prompts": plain.prompts.model_copy(update={"count": len(PROMPTS)}),
        }
    )
    return result.model_copy(update={"warmup": judged(result, report["requests"], None)})
