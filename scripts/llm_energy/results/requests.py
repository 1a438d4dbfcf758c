"""The requests of a measurement as a side file: one row each, token times as a list."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llm_energy.results.columns import table_of, write_table
from llm_energy.results.parts import SideFile


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


def read_requests(path: Path) -> tuple[list[dict[str, Any]], list[int]]:
    """What `write_requests` wrote: the requests, and the token count of each prompt by its index.

    A prompt that no request used has a count of 0.
    """
    import pyarrow.parquet as pq

    rows = pq.read_table(path).to_pylist()
    lengths = {row["prompt_index"]: row["input_tokens"] for row in rows}
    requests = [
        {
            "prompt": row["prompt_index"],
            "wave": row["wave"],
            "submitted": row["submitted_monotonic_s"],
            "token_times": row["token_times_monotonic_s"],
        }
        for row in rows
    ]
    return requests, [lengths.get(index, 0) for index in range(max(lengths, default=-1) + 1)]
