"""Parquet files beside a result: how each is written, and the requests of a measurement.

pyarrow is loaded inside the functions, so that a job pays for it only when it writes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_energy.results.parts import SideFile
from llm_energy.system.files import read_regular, write_atomically

if TYPE_CHECKING:
    import pyarrow as pa


OPEN_COLUMNS = {
    "scheduled_monotonic_s": ("scheduled", "time"),
    "ended_monotonic_s": ("ended", "time"),
    "requested_tokens": ("requested", "count"),
    "fault": ("fault", "text"),
}
"""Column of requests of load mode `open` -> key of the worker's report, and kind of its values."""


def fault_of(root: Path, file: SideFile) -> str | None:
    """Return why a side file below `root` is not the measured one; None where it is."""
    try:
        content = read_regular(root / file.path)
    except FileNotFoundError:
        return "is not there"
    except OSError as error:
        return f"is not readable: {error.strerror}"
    same = hashlib.sha256(content).hexdigest() == file.sha256
    return None if same else "was changed after it was measured"


def write_rows(
    root: Path, path: str, rows: Sequence[Mapping[str, Any]], schema: "pa.Schema"
) -> SideFile:
    """Write `rows` to `root`/`path`, whole or not at all; a key that is absent is null."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(rows, schema=schema)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content = sink.getvalue().to_pybytes()
    write_atomically(root / path, content)
    return SideFile(path=path, sha256=hashlib.sha256(content).hexdigest())


def write_requests(
    root: Path, path: str, requests: Sequence[Mapping[str, Any]], *, input_lengths: Sequence[int]
) -> SideFile:
    """Write `requests` (as the worker reports them) to `root`/`path` in Parquet.

    Columns: prompt_index, wave (null in load mode `closed`), input_tokens, submitted_monotonic_s,
    token_times_monotonic_s (one for each output token). Of load mode `open` also those of
    `OPEN_COLUMNS`; requests that had not ended when they were followed no further have no end.
    """
    import pyarrow as pa

    seconds = {b"unit": b"s, CLOCK_MONOTONIC"}
    is_open = any("scheduled" in request for request in requests)
    kinds = {"time": pa.float64(), "count": pa.int32(), "text": pa.string()}
    schema = pa.schema(
        [
            pa.field("prompt_index", pa.int32()),
            pa.field("wave", pa.int32()),
            pa.field("input_tokens", pa.int32(), metadata={b"unit": b"tokens"}),
            pa.field("submitted_monotonic_s", pa.float64(), metadata=seconds),
            pa.field("token_times_monotonic_s", pa.list_(pa.float64()), metadata=seconds),
            *(pa.field(name, kinds[kind]) for name, (_, kind) in OPEN_COLUMNS.items() if is_open),
        ]
    )
    rows = [
        {
            "prompt_index": request["prompt"],
            "wave": request["wave"],
            "input_tokens": request.get("input_tokens", input_lengths[request["prompt"]]),
            "submitted_monotonic_s": request["submitted"],
            "token_times_monotonic_s": request["token_times"],
            **{name: request.get(key) for name, (key, _) in OPEN_COLUMNS.items()},
        }
        for request in requests
    ]
    return write_rows(root, path, rows, schema)


def read_requests(path: Path) -> tuple[list[dict[str, Any]], list[int]]:
    """Return the requests that `write_requests` wrote, and the token count of each prompt by index.

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
            **{key: row[name] for name, (key, _) in OPEN_COLUMNS.items() if name in row},
            **({"input_tokens": row["input_tokens"]} if OPEN_COLUMNS.keys() & row.keys() else {}),
        }
        for row in rows
    ]
    return requests, [lengths.get(index, 0) for index in range(max(lengths, default=-1) + 1)]
