"""A campaign to export: two GPUs whose counter wraps in the window, read at uneven times."""

import math
import random
from datetime import datetime
from pathlib import Path

from tests.llm_energy.make_results import make_result, path_of, put_result

from llm_energy.export.series_columns import SeriesColumns, read_columns
from llm_energy.power.meter import Device, Reading, Stamp, State
from llm_energy.power.sensor import Method, Sensor
from llm_energy.power.series import Series
from llm_energy.power.series_file import read_series, write_series
from llm_energy.results.layout import side_path
from llm_energy.results.result import Result, read_result

RANGE_JOULES = 1000.0
DEVICES = tuple(
    Device(
        f"GPU-{number}",
        "Made GPU, 80 GB",
        "gpu_board",
        simulated=True,
        counter_range_joules=RANGE_JOULES,
    )
    for number in (1, 2)
)


def make_series(result: Result, *, hz: float = 50.0) -> Series:
    """Power that swings, with stamps of their own for counter and power, and states once a
    second."""
    chance = random.Random(result.cycle)
    began = datetime.fromisoformat(result.started).timestamp()
    start_s, end_s = result.phases[0].start_monotonic_s, result.phases[-1].end_monotonic_s
    readings, counters, last_s = [], {device.id: 900.0 for device in DEVICES}, start_s
    for number in range(round((end_s + 1.0 - start_s) * hz)):
        now_s = start_s + (number + chance.uniform(-0.2, 0.2)) / hz
        for device in DEVICES:
            watts = 300.0 + 200.0 * math.sin(now_s) + chance.uniform(-20, 20)
            counter = counters[device.id] + watts * max(0.0, now_s - last_s)
            counters[device.id] = counter % RANGE_JOULES
            readings.append(
                Reading(
                    device.id,
                    now_s,
                    began + now_s - start_s,
                    0.001,
                    energy_counter_joules=counters[device.id],
                    instant_power_watts=watts,
                    state=State(temperature_celsius=50, utilisation_percent=99.5)
                    if number % hz == 0
                    else None,
                    stamps={
                        "energy_counter_joules": Stamp(now_s - 0.0003, 0.0002),
                        "instant_power_watts": Stamp(now_s + 0.0003, 0.0002),
                    },
                )
            )
        last_s = now_s
    return Series(DEVICES, tuple(readings), hz)


def make_exported(folder: Path, *, cycles: int = 3, hz: float = 50.0) -> list[Result]:
    """Write results with their series into a campaign's folder; the last one has no energy."""
    made = []
    for cycle in range(1, cycles + 1):
        result = make_result(cycle=cycle, position=cycle, metered=cycle < cycles)
        path = path_of(result)
        file = write_series(folder, side_path(path, "series"), make_series(result, hz=hz))
        result = result.model_copy(update={"side_files": {"series": file}})
        put_result(folder / path, result)
        made.append(read_result(folder / path))
    return made


def columns_of(folder: Path, series: Series) -> SeriesColumns:
    """The columns of a series, through a file in a folder."""
    write_series(folder, "made.parquet", series)
    return read_columns(folder / "made.parquet")


def joules(folder: Path, result: Result, device: Device, method: Method) -> float:
    """The energy of a device over the window, as the workflow computes it."""
    series = read_series(folder / result.side_files["series"].path)
    assert result.window
    edges = (result.window.start_monotonic_s, result.window.end_monotonic_s)
    energy = Sensor(device, series).energy(method, *edges).joules
    assert energy is not None
    return energy
