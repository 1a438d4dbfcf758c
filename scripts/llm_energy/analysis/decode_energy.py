"""Energy of decoding over the experiments that differ in their output length alone."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from llm_energy.analysis.energy_uncertainty import total_offset_limit
from llm_energy.analysis.experiments_table import SENSOR, sensor_limits
from llm_energy.analysis.summary import DecodeEnergy
from llm_energy.results.metrics import JOULES_PER_REQUEST
from llm_energy.results.result import Result
from llm_energy.stats.decode_slope import decode_slope
from llm_energy.stats.intervals import ends
from llm_energy.system.files import canonical_json
from llm_energy.system.vocabulary import NATURAL


def decode_energies(
    results: Iterable[Result], *, first_cycles: int | None = None
) -> Iterator[DecodeEnergy]:
    """One for each set of settings that was measured at three output lengths or more.

    Args:
        first_cycles: as in `experiments_table`.
    """
    alike: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        natural = result.settings.resolved.get("output_length") == NATURAL
        waits = result.open_load is not None  # its energy per request holds the idle gaps
        if result.energy.joules_per_request and not natural and not waits:
            alike[_without_length(result)].append(result)
    for group in alike.values():
        requests: dict[tuple[int, str], dict[int, float]] = defaultdict(dict)
        for result in group:
            block = result.cycle, result.environment.session_id
            requests[block][_length(result)] = result.energy.joules_per_request or 0.0
        pilot = None
        if first_cycles is not None:
            pilot = {block for block in requests if block[0] <= first_cycles}
        slope = decode_slope(requests, limits=_limits(group), pilot=pilot)
        if slope is not None:
            within = sorted(group, key=_length)
            yield DecodeEnergy(
                experiments=list(dict.fromkeys(result.experiment for result in within)),
                output_lengths=list(slope.lengths),
                cycles=slope.cycles,
                joules_per_output_token=slope.joules_per_output_token,
                **ends(slope.interval),
                **ends(slope.total.interval if slope.total else None, "total_{}"),
                worst_residual_relative=slope.worst_residual_relative,
                energy_scope=str(group[0].energy.scope),
            )


def _without_length(result: Result) -> str:
    """Equal for results that differ in nothing but the length of their outputs."""
    spec: dict[str, Any] = dict(result.spec)
    spec["settings"] = {k: v for k, v in spec["settings"].items() if k != "output_tokens"}
    place = result.environment.device_model, result.environment.power_limit_watts
    energy = result.energy.scope, result.energy.method, result.energy.simulated
    return canonical_json([spec, place, energy])


def _length(result: Result) -> int:
    return int(result.settings.resolved["output_tokens"])


def _limits(group: Sequence[Result]) -> tuple[float, ...] | None:
    limits = (
        (r.energy.gain_limit_relative, total_offset_limit(r.energy), r.energy.mean_power_watts)
        for r in group
    )
    return sensor_limits(
        JOULES_PER_REQUEST, [dict(zip(SENSOR, each, strict=True)) for each in limits]
    )
