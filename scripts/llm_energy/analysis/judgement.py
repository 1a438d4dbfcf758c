"""The judgement of a rate that a search visits: a pure function of the results of its cycles.

In a file of its own, because each judgement is a job that loads no more than it needs.
"""

from collections.abc import Sequence
from pathlib import Path

from llm_energy.analysis.derived_records import write_record
from llm_energy.campaign.arrival_settings import Objectives
from llm_energy.results.layout import result_path
from llm_energy.results.open_load import SATURATED
from llm_energy.results.parts import Model
from llm_energy.results.result import Result, ResultError
from llm_energy.results.side_files import fault_of


class Judgement(Model):
    """Cycles of one experiment of load mode `open`, judged by objectives."""

    experiment: str
    spec_hash: str
    objectives: Objectives
    attainments: list[float | None]
    """Attainment of each cycle, in order; None where it ran out of memory or nothing arrived."""
    growing: int
    """Saturated cycles, in which more requests arrived than ended, beyond chance."""
    good: bool
    """True where the mean attainment is the share that must be good, or more, in no cycle the queue
    grew, and none is without an attainment."""


def judge(results: Sequence[Result], objectives: Objectives, folder: Path) -> Judgement:
    """Judge the cycles of one experiment.

    Args:
        folder: the campaign's results folder, with the requests of the results.

    Raises:
        ResultError: requests cannot be read, and the results were judged by other objectives.
    """
    ordered = [_judged(result, objectives, folder) for result in results]
    ordered.sort(key=lambda result: result.cycle)
    loads = [result.open_load for result in ordered]
    attainments = [
        load.attained.attainment if load and load.attained and load.arrivals else None
        for load in loads
    ]
    growing = sum(load is not None and load.saturation == SATURATED for load in loads)
    known = [value for value in attainments if value is not None]
    enough = len(known) == len(ordered) and sum(known) / len(known) >= objectives.share
    return Judgement(
        experiment=ordered[0].experiment,
        spec_hash=ordered[0].spec_hash,
        objectives=objectives,
        attainments=attainments,
        growing=growing,
        good=enough and not growing,
    )


def write_judgement(path: Path, judgement: Judgement) -> None:
    """Write a judgement, and remove those of the same results by other objectives.

    They may be of results that were measured again since; where they are needed, they are made
    again without measuring.
    """
    write_record(path, judgement)
    for other in path.parent.glob(f"{path.name.partition('_')[0]}_*"):
        if other != path:
            other.unlink(missing_ok=True)


def _judged(result: Result, objectives: Objectives, folder: Path) -> Result:
    # With it the code of open loads, which whoever reads a judgement need not load.
    from llm_energy.analysis.objectives import with_objectives

    unread = [file.path for file in result.side_files.values()]
    if with_objectives(result, objectives, folder, gaps=unread) is result:
        return result  # by these objectives already: no file is needed
    file = result.side_files["requests"]
    if fault := fault_of(folder, file):
        own = folder / result_path(result.spec_hash, result.cycle)
        raise ResultError(
            f"{folder / file.path}: {fault}, and other objectives need it; delete {own}, and it is "
            "measured again"
        )
    return with_objectives(result, objectives, folder)
