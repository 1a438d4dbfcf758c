"""The numbers of a result worked out again from its raw data: requests and power series."""

import math
from collections.abc import Iterator
from pathlib import Path

from llm_energy.analysis.physics import PRECISION
from llm_energy.measurement import window
from llm_energy.power.accounting import account_energy, unsampled
from llm_energy.power.series_file import read_series
from llm_energy.results.codes import SAMPLER_OFF
from llm_energy.results.result import Result
from llm_energy.results.side_files import read_requests


def differences(folder: Path, result: Result) -> Iterator[str]:
    """One sentence for each number that its raw data do not give.

    Args:
        folder: the campaign's results folder; the side files are whole (see `verify.py`).
    """
    if result.window is None:
        return
    if "requests" in result.side_files:
        requests, lengths = read_requests(folder / result.side_files["requests"].path)
        start_s, end_s = result.window.start_monotonic_s, result.window.end_monotonic_s
        counted = window.tokens(requests, input_lengths=lengths, start=start_s, end=end_s)
        if counted != result.tokens:
            yield f"its requests give {counted!r}, it says {result.tokens!r}"
    energy = result.energy
    if "series" in result.side_files and energy.method is not None:
        again = account_energy(
            read_series(folder / result.side_files["series"].path),
            result.phases,
            result.tokens,
            scope=energy.scope,  # type: ignore[arg-type]
            gpus=result.environment.device_uuids or None,
            method=energy.method,  # type: ignore[arg-type]
        ).energy
        if energy.reason == SAMPLER_OFF:
            again = unsampled(again)
        if again.reason != energy.reason or not _equal(again.energy_joules, energy.energy_joules):
            found, told = (
                f"no energy ({each.reason})"
                if each.energy_joules is None
                else f"{each.energy_joules:.9g} J"
                for each in (again, energy)
            )
            yield f"its power series gives {found}, it says {told}"


def _equal(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=PRECISION)
