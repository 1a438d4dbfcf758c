"""The requests of a measurement as a side file: one row each, token times as a list."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llm_energy.columns import table_of, write_table
from llm_energy.results import SideFile


def write_requests(
    root: Path, path: str, requests: Sequence[Mapping[str, Any]], *, input_lengths: Sequence[int]
) -> SideFile:
    """Write `requests` (as the worker reports them) to `root`/`path` in Parquet.

    Columns: prompt_index, wave (null in load mode `closed`), input_tokens, submitted_monotonic_s,
    token_times_monotonic_s (one for each output token). pyarrow is loaded here, at the first call.
    """
    import pyarrow as pa

    seconds = {b"unit": b"s, CLOCK_MONOTONIC"}
    schema = pa.schema(
        [
            pa.field("prompt_index", pa.int32()),
            pa.field("wave", pa.int32()),
            pa.field("input_tokens", pa.int32(), metadata={b"unit": b"tokens"}),
            pa.field("submitted_monotonic_s", pa.float64(), metadata=seconds),
            pa.field("token_times_monotonic_s", pa.list_(pa.float64()), metadata=seconds),
        ]
    )
    rows = [
        {
            "prompt_index": request["prompt"],
            "wave": request["wave"],
            "input_tokens": input_lengths[request["prompt"]],
            "submitted_monotonic_s": request["submitted"],
            "token_times_monotonic_s": request["token_times"],
        }
        for request in requests
    ]
    return write_table(root, path, table_of(rows, schema))
