"""Which results are worth measuring again: those of `--config remeasure=invalid`."""

from collections.abc import Iterable
from pathlib import Path

from llm_energy.results.codes import SAMPLER_OFF
from llm_energy.results.result import ResultError, read_planned_result


def invalid_results(results: Path, paths: Iterable[str]) -> list[str]:
    """Those of `paths` whose results are there, but not their energy, or cannot be used at all.

    Out of memory is an outcome, not an invalid result; a control without a sampler has no energy.

    Args:
        results: the campaign's results folder, to which `paths` are relative.
    """
    return [path for path in paths if (results / path).exists() and _is_invalid(results, path)]


def _is_invalid(results: Path, path: str) -> bool:
    try:
        result = read_planned_result(results, path)
    except ResultError:
        return True
    energy = result.energy
    lacks = energy.energy_joules is None and energy.reason != SAMPLER_OFF
    return result.status == "completed" and lacks
