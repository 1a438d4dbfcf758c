"""Which results are worth measuring again: those of `--config remeasure=invalid`."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from llm_energy.power.sources import can_meter
from llm_energy.preflight.host_findings import forbidden_cpu_energy
from llm_energy.results.codes import SAMPLER_OFF
from llm_energy.results.result import ResultError, read_planned_result
from llm_energy.results.side_files import fault_of
from llm_energy.system.numbers import plural


@dataclass(frozen=True)
class Invalid:
    """Results that cannot be used, or lack their energy."""

    mendable: list[str]
    """Those that another measurement may mend, in the order given."""
    without_sensor: int
    """Number of those that lack their energy, and would lack it again."""


def invalid_results(
    results: Path, paths: Iterable[str], *, on_gpu: bool, elsewhere: bool
) -> Invalid:
    """Find the invalid ones among the results of `paths` that are there.

    Out of memory is an outcome, not an invalid result; a control without a sampler has no energy.

    Args:
        results: the campaign's results folder, to which `paths` are relative.
        on_gpu: the campaign measures on GPUs.
        elsewhere: it measures on other hosts, whose sensors are not known here.
    """
    found = {path: _lacks(results, path) for path in paths if (results / path).exists()}
    lacking = [path for path, lack in found.items() if lack == "energy"]
    if lacking and not (elsewhere or can_meter(gpus=on_gpu)):
        return Invalid([path for path, lack in found.items() if lack == "all"], len(lacking))
    return Invalid([path for path, lack in found.items() if lack], 0)


def _lacks(results: Path, path: str) -> str | None:
    """Return `energy` for a result without its energy, `all` for one that cannot be used, or whose
    raw data are gone or changed."""
    try:
        result = read_planned_result(results, path)
    except ResultError:
        return "all"
    if any(fault_of(results, file) for file in result.side_files.values()):
        return "all"
    energy = result.energy
    lacks = energy.energy_joules is None and energy.reason != SAMPLER_OFF
    return "energy" if result.status == "completed" and lacks else None


def without_sensor_line(count: int, *, on_gpu: bool) -> str:
    """Say why results without energy are not measured again."""
    remedy = None if on_gpu else forbidden_cpu_energy()
    lack = "lacks" if count == 1 else "lack"
    return (
        f"{plural(count, 'result')} that {lack} energy will not be measured again: "
        f"{remedy or 'no power sensor of this machine can be read.'}"
    )
