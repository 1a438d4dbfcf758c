"""A power series by its columns: millions of values without an object for each reading."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from llm_energy.power.meter import Device, Quantity
from llm_energy.power.series import NO_SAMPLES, Samples, longest_read_s
from llm_energy.power.series_file import METADATA_KEY, STAMPS, UNITS


@dataclass(frozen=True)
class SeriesColumns:
    """The readings of all devices, in the order in which they were taken."""

    devices: tuple[Device, ...]
    table: pa.Table
    """A row for each reading, with the columns `device` and `UNITS`."""

    def column(self, name: str) -> list[Any]:
        """Return a column as it was read, with None for what was not there."""
        values: list[Any] = self.table[name].to_pylist()
        return values

    def samples(self, device: Device, quantity: Quantity) -> Samples:
        """Return the values of one quantity of one device, those that `Series.samples` returns."""
        rows = self._known(device, quantity)
        if not len(rows):
            return NO_SAMPLES
        own_s, own_read_s = (rows[name] for name in STAMPS[quantity])
        reads_s = pc.if_else(pc.is_valid(own_s), own_read_s, rows["read_s"]).to_numpy()
        in_time = ~(reads_s > longest_read_s(reads_s.tolist()))
        times_s = pc.coalesce(own_s, rows["monotonic_s"]).to_numpy()
        return _samples(times_s[in_time], rows[quantity].to_numpy()[in_time])

    def states(self, device: Device, name: str) -> Samples:
        """Return the values of one slow quantity of one device."""
        rows = self._known(device, name)
        return _samples(rows["monotonic_s"].to_numpy(), rows[name].to_numpy())

    def _known(self, device: Device, name: str) -> pa.Table:
        """Return the rows of a device that have a value in a column."""
        rows = self._by_device[device.id]
        return rows.filter(pc.is_valid(rows[name]))

    @cached_property
    def _by_device(self) -> dict[str, pa.Table]:
        ids = self.table["device"]
        return {each.id: self.table.filter(pc.equal(ids, each.id)) for each in self.devices}


def _samples(times_s: NDArray[Any], values: NDArray[Any]) -> Samples:
    return Samples(tuple(times_s.tolist()), tuple(values.tolist()))


def read_columns(path: Path) -> SeriesColumns:
    """Return the columns of a file that `series_file` wrote."""
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[METADATA_KEY])
    for name in UNITS:
        if name not in table.column_names:  # an older file
            table = table.append_column(name, pa.nulls(len(table), pa.float64()))
    devices = tuple(Device(**device) for device in about["devices"])
    return SeriesColumns(devices, table.select(["device", *UNITS]))
