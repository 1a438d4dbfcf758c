"""Results of load mode `open`, judged by the objectives that the campaign has today."""

from collections.abc import Collection
from pathlib import Path

from llm_energy.campaign.arrival_settings import Objectives as Declared
from llm_energy.measurement.open_window import attained
from llm_energy.results.open_load import Attained, Objectives
from llm_energy.results.result import Result
from llm_energy.results.side_files import read_requests


def with_objectives(
    result: Result, declared: Declared | None, folder: Path, *, gaps: Collection[str] = ()
) -> Result:
    """Return the result as it is judged today; result files stay as they are.

    Objectives are no part of what is measured, so that new ones measure nothing again.

    Args:
        folder: the campaign's results folder.
        gaps: paths of side files that must not be used. Without its requests nothing can be judged.
    """
    load = result.open_load
    if load is None or result.window is None:
        return result
    wanted = None if declared is None else Objectives(**declared.in_seconds())
    if (load.attained.objectives if load.attained else None) == wanted:
        return result
    found = None if wanted is None else _judged(result, wanted, folder, gaps)
    return result.model_copy(update={"open_load": load.model_copy(update={"attained": found})})


def _judged(
    result: Result, wanted: Objectives, folder: Path, gaps: Collection[str]
) -> Attained | None:
    file = result.side_files.get("requests")
    assert result.window is not None
    assert result.open_load is not None
    if file is None or file.path in gaps:
        return None
    requests, _ = read_requests(folder / file.path)
    return attained(
        requests,
        (result.window.start_monotonic_s, result.window.end_monotonic_s),
        wanted,
        joules=result.energy.energy_joules,
        saturation=result.open_load.saturation,
    )
