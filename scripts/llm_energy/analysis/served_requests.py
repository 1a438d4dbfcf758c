"""Latencies of each request of load mode `open`, for objectives that a reader sets on the page."""

from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from llm_energy.analysis.table_columns import Row
from llm_energy.measurement.open_requests import arrived, objective_values, whole
from llm_energy.results.result import Result
from llm_energy.results.side_files import read_requests


class RequestsRow(Row):
    """The whole requests of the window of one measurement of load mode `open`, in one order. Those
    that failed, were cut or had not ended have no place here, and are never good."""

    experiment: str
    spec_hash: str
    cycle: int
    time_to_first_token_s: list[float]
    """From the scheduled arrival of a request to its first token."""
    inter_token_latency_s: list[float]
    """Mean gap between the tokens of a request; 0 with one token."""
    end_to_end_s: list[float]
    """From the scheduled arrival of a request to its end."""


def requests_table(folder: Path, results: Sequence[Result], gaps: Collection[str]) -> pd.DataFrame:
    """Return one row for each measurement of load mode `open` whose requests may be used.

    Args:
        folder: `results/{campaign}`.
        gaps: paths of side files that are absent or changed.
    """
    rows = []
    for result in results:
        file = result.side_files.get("requests")
        if result.open_load is None or result.window is None or file is None or file.path in gaps:
            continue
        requests, _ = read_requests(folder / file.path)
        span = (result.window.start_monotonic_s, result.window.end_monotonic_s)
        values = [objective_values(r) for r in arrived(requests, span) if whole(r)]
        first, gap, end = (
            (list(column) for column in zip(*values, strict=True)) if values else ([], [], [])
        )
        rows.append(
            RequestsRow(
                experiment=result.experiment,
                spec_hash=result.spec_hash,
                cycle=result.cycle,
                time_to_first_token_s=first,
                inter_token_latency_s=gap,
                end_to_end_s=end,
            )
        )
    return pd.DataFrame(map(dict, rows), columns=list(RequestsRow.model_fields))
