"""The columns of a series give the values that energy is computed from."""

import math

import pyarrow.parquet as pq
import pytest
from tests.llm_energy.export.made_campaign import columns_of
from tests.llm_energy.power.made_power import GPU, PACKAGE, constant, reading, series_of, together

from llm_energy.export.series_columns import read_columns
from llm_energy.power.meter import QUANTITIES, Stamp, State
from llm_energy.power.series import Series

READINGS = (
    reading(0.0, energy_counter_joules=1.0, instant_power_watts=10.0, state=State()),
    reading(0.1, energy_counter_joules=2.0, unavailable={"instant_power_watts": "timeout"}),
    reading(0.2, energy_counter_joules=3.0, instant_power_watts=12.0, read_s=0.4),
    reading(
        0.3,
        energy_counter_joules=4.0,
        instant_power_watts=13.0,
        read_s=0.4,
        stamps={"energy_counter_joules": Stamp(0.29, 0.01)},
        state=State(temperature_celsius=50.0, throttle_reasons=2**64 - 1),
    ),
    reading(0.5, instant_power_watts=14.0, stamps={"instant_power_watts": Stamp(0.51, 0.4)}),
    reading(0.6, average_power_watts=14.0, read_s=math.nan),
)
SERIES = together(
    Series((GPU,), READINGS, 10.0), series_of(constant(100.0), device=PACKAGE, end=2.0)
)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_late_values_are_left_out_and_each_has_its_own_time(tmp_path, quantity):
    columns = columns_of(tmp_path, SERIES)
    for device in SERIES.devices:
        found, expected = columns.samples(device, quantity), SERIES.samples(device, quantity)
        assert (found.times_s, found.values) == (expected.times_s, expected.values)


def test_the_compared_series_has_values_of_each_kind():
    assert SERIES.samples(GPU, "energy_counter_joules").times_s == (0.0, 0.1, 0.29)
    assert SERIES.samples(GPU, "average_power_watts").values == (14.0,)


def test_states_are_those_of_the_slow_readings(tmp_path):
    columns = columns_of(tmp_path, SERIES)
    assert columns.states(GPU, "temperature_celsius").times_s == (0.3,)
    assert columns.states(GPU, "throttle_reasons").values == (2**64 - 1,)
    assert columns.states(PACKAGE, "temperature_celsius").times_s == ()


def test_a_file_without_the_newer_columns_lacks_their_values(tmp_path):
    columns_of(tmp_path, SERIES)
    table = pq.read_table(tmp_path / "made.parquet")
    newer = [name for name in table.column_names if name.endswith("_monotonic_s")]
    pq.write_table(table.drop_columns([*newer, "module_power_watts"]), tmp_path / "older.parquet")
    older = read_columns(tmp_path / "older.parquet")
    assert older.samples(GPU, "energy_counter_joules").times_s == (0.0, 0.1, 0.2, 0.3)
    assert older.column("module_power_watts") == [None] * len(SERIES.readings)


def test_a_series_without_readings_has_no_values(tmp_path):
    columns = columns_of(tmp_path, Series((GPU,), (), 10.0))
    assert len(columns.samples(GPU, "energy_counter_joules")) == 0
    assert len(columns.states(GPU, "temperature_celsius")) == 0
