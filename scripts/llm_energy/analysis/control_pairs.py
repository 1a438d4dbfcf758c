"""Values of a control and its base by block, of which two with both sides form a pair."""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import cast

from llm_energy.power.device_account import total
from llm_energy.power.sensor import Method, Sensor
from llm_energy.power.series import Series
from llm_energy.results.metrics import Metric, watched_value
from llm_energy.results.open_load import SATURATED
from llm_energy.results.result import Result

Block = tuple[object, ...]
Values = Mapping[Block, float]


def speeds(results: Iterable[Result], metric: Metric) -> Values:
    """Return the values of a metric that is watched, by block."""
    return {block_of(r): value for r in results if (value := watched_value(r, metric))}


def saturated_pairs(base: Iterable[Result], other: Iterable[Result]) -> tuple[int, int]:
    """Return the number of blocks with both sides in which a queue grew, and of those in which it
    grew on one side alone."""
    sides = [
        {block_of(r): r.open_load.saturation == SATURATED for r in results if r.open_load}
        for results in (base, other)
    ]
    pairs = [[side[block] for side in sides] for block in sides[0].keys() & sides[1].keys()]
    return sum(any(pair) for pair in pairs), sum(any(pair) and not all(pair) for pair in pairs)


def energies(results: Iterable[Result]) -> Values:
    """Return energy per output token by block, sensor and method: only equal ones form pairs."""
    return {
        energy_block_of(r): joules for r in results if (joules := r.energy.joules_per_output_token)
    }


def block_of(result: Result) -> Block:
    """Return the block that both sides of a pair share."""
    place = result.environment
    known = place.limit_before_watts, place.power_modes
    return result.cycle, place.session_id, place.device_model, *known


def energy_block_of(result: Result) -> Block:
    """Return the block of an energy, which one sensor and one method measured."""
    energy = result.energy
    return (*block_of(result), energy.scope, energy.method, energy.simulated)


def idle_halves(result: Result, series: Series | None) -> tuple[float, float] | None:
    """Return the power in W of the devices that count, in both halves of the idle phase; None where
    one is not known."""
    idle = next((phase for phase in result.phases if phase.name == "idle"), None)
    method = cast(Method | None, result.energy.method)
    if idle is None or method is None or series is None:
        return None
    counted = {device.device for device in result.energy.devices if device.counted}
    sensors = [Sensor(device, series) for device in series.devices if device.id in counted]
    middle_s = (idle.start_monotonic_s + idle.end_monotonic_s) / 2
    edges = (idle.start_monotonic_s, middle_s, idle.end_monotonic_s)
    first, second = (
        total(
            baseline.power_watts if baseline else None
            for baseline in (sensor.baseline(method, *span) for sensor in sensors)
        )
        for span in pairwise(edges)
    )
    return (first, second) if first and second else None
