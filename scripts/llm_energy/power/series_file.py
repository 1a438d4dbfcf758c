"""The raw series as a Parquet file: units and identity in its metadata, nothing left out.

pyarrow is loaded inside the functions, so that a job pays for it only when it writes.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from llm_energy.power.meter import QUANTITIES, Device, Reading, Stamp, State
from llm_energy.power.series import Series
from llm_energy.results.parts import SideFile
from llm_energy.results.side_files import write_rows

if TYPE_CHECKING:
    import pyarrow as pa

METADATA_KEY = b"llm_energy.series"
"""Key of the file's metadata: JSON with `identity`, `devices` and `rate_hz`."""

_STAMP = ("s, CLOCK_MONOTONIC", "s")
STAMPS = {quantity: (f"{quantity}_monotonic_s", f"{quantity}_read_s") for quantity in QUANTITIES}
"""Quantity -> the columns of its own stamp, null where it has that of the pass."""

UNITS = {
    "monotonic_s": "s, CLOCK_MONOTONIC",
    "wall_s": "s since 1970-01-01 UTC",
    "read_s": "s",
    "energy_counter_joules": "J",
    "instant_power_watts": "W",
    "average_power_watts": "W",
    "usage_power_watts": "W",
    "module_power_watts": "W",
    "temperature_celsius": "°C",
    "sm_clock_mhz": "MHz",
    "memory_clock_mhz": "MHz",
    "utilisation_percent": "%",
    "memory_used_bytes": "B",
    "power_limit_watts": "W",
    "throttle_reasons": "bit mask of nvmlClocksEventReasons",
    "performance_state": "0 (fastest) to 15",
    **{name: unit for pair in STAMPS.values() for name, unit in zip(pair, _STAMP, strict=True)},
}
_UNSIGNED = ("memory_used_bytes", "throttle_reasons")
"""The largest unsigned 64-bit value, which some drivers of NVML return for unknown values."""
_STATE = tuple(field.name for field in dataclasses.fields(State))


def write_series(
    root: Path, path: str, series: Series, *, identity: Mapping[str, Any] = MappingProxyType({})
) -> SideFile:
    """Write `series` to `root`/`path`, one row for each reading.

    Args:
        identity: campaign, experiment and cycle of the series, for the metadata.
    """
    about = {
        "identity": dict(identity),
        "devices": [dataclasses.asdict(device) for device in series.devices],
        "rate_hz": series.rate_hz,
    }
    schema = _schema().with_metadata({METADATA_KEY: json.dumps(about).encode()})
    return write_rows(root, path, [_row(reading) for reading in series.readings], schema)


def read_series(path: Path) -> Series:
    """The series as it was written."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[METADATA_KEY])
    return Series(
        devices=tuple(Device(**device) for device in about["devices"]),
        readings=tuple(_reading(row) for row in table.to_pylist(maps_as_pydicts="strict")),
        rate_hz=about["rate_hz"],
    )


def read_identity(path: Path) -> dict[str, Any]:
    """The identity of the series, as it was written."""
    import pyarrow.parquet as pq

    identity: dict[str, Any] = json.loads(pq.read_schema(path).metadata[METADATA_KEY])["identity"]
    return identity


def _schema() -> "pa.Schema":
    import pyarrow as pa

    def column(name: str) -> pa.Field:
        kind = pa.float64()
        if name in _UNSIGNED:
            kind = pa.uint64()
        elif name == "performance_state":
            kind = pa.int64()
        return pa.field(name, kind, metadata={b"unit": UNITS[name].encode()})

    return pa.schema(
        [
            pa.field("device", pa.string()),
            *(column(name) for name in UNITS),
            pa.field("process_ids", pa.list_(pa.int64())),
            pa.field("has_state", pa.bool_()),
            pa.field("unavailable", pa.map_(pa.string(), pa.string())),
        ]
    )


def _row(reading: Reading) -> dict[str, Any]:
    names = ("device", "monotonic_s", "wall_s", "read_s", *QUANTITIES)
    state = reading.state or State()
    stamps = {
        name: value
        for quantity, stamp in reading.stamps.items()
        for name, value in zip(STAMPS[quantity], (stamp.monotonic_s, stamp.read_s), strict=True)
    }
    return {
        **{name: getattr(reading, name) for name in names},
        **{name: getattr(state, name) for name in _STATE},
        **stamps,
        "has_state": reading.state is not None,
        "unavailable": list(reading.unavailable.items()),
    }


def _reading(row: dict[str, Any]) -> Reading:
    # Older files lack the newer columns.
    state = {name: row.pop(name, None) for name in _STATE}
    stamps = {
        quantity: Stamp(monotonic_s, read_s)
        for quantity, (monotonic_s, read_s) in (
            (quantity, [row.pop(name, None) for name in names])
            for quantity, names in STAMPS.items()
        )
        if monotonic_s is not None
    }
    if state["process_ids"] is not None:
        state["process_ids"] = tuple(state["process_ids"])
    has_state = row.pop("has_state")
    return Reading(**row, state=State(**state) if has_state else None, stamps=stamps)
