"""The raw series as a file: all of it, with units and identity, and back again."""

import dataclasses
import hashlib
import json

import pyarrow.parquet as pq
from tests.llm_energy.power.made_power import GPU, constant, reading, series_of, together

from llm_energy.power.meter import Stamp, State
from llm_energy.power.series import Series
from llm_energy.power.series_file import METADATA_KEY, read_series, write_series

DEVICE = dataclasses.replace(
    GPU, simulated=True, refusal="mig_enabled", facts={"driver": "1.2", "ecc": True, "vbios": None}
)
STATES = (
    reading(
        0.0,
        energy_counter_joules=12.5,
        state=State(temperature_celsius=50.0, throttle_reasons=4, process_ids=(7, 8)),
    ),
    reading(0.1, unavailable={"instant_power_watts": "not_supported"}),
    reading(0.2, state=State()),
    reading(0.3, state=State(process_ids=())),
    reading(
        0.4,
        energy_counter_joules=13.0,
        instant_power_watts=100.0,
        stamps={"energy_counter_joules": Stamp(0.39, 0.01)},
    ),
)


def test_what_is_read_is_what_was_written(tmp_path):
    series = together(Series((DEVICE,), STATES, 10.0), series_of(constant(100.0), end=2.0))
    write_series(tmp_path, "series/one.parquet", series, identity={"cycle": 1})
    assert read_series(tmp_path / "series/one.parquet") == series


def test_a_series_without_readings_is_a_file_too(tmp_path):
    series = Series((DEVICE,), (), 10.0)
    write_series(tmp_path, "empty.parquet", series)
    assert read_series(tmp_path / "empty.parquet") == series


def test_a_driver_that_sets_all_bits_costs_no_result(tmp_path):
    every = 2**64 - 1
    odd = reading(0.5, state=State(memory_used_bytes=every, throttle_reasons=every))
    series = Series((DEVICE,), (odd,), 10.0)
    write_series(tmp_path, "odd.parquet", series)
    assert read_series(tmp_path / "odd.parquet") == series


def test_units_and_identity_stand_in_the_file(tmp_path):
    identity = {"campaign": "c", "experiment": "e", "cycle": 2}
    write_series(tmp_path, "one.parquet", Series((DEVICE,), STATES, 10.0), identity=identity)
    schema = pq.read_schema(tmp_path / "one.parquet")
    assert schema.field("energy_counter_joules").metadata == {b"unit": b"J"}
    assert schema.field("monotonic_s").metadata == {b"unit": b"s, CLOCK_MONOTONIC"}
    assert json.loads(schema.metadata[METADATA_KEY])["identity"] == identity


def test_the_side_file_is_named_by_its_hash(tmp_path):
    side = write_series(tmp_path, "one.parquet", Series((DEVICE,), STATES, 10.0))
    assert side.path == "one.parquet"
    assert side.sha256 == hashlib.sha256((tmp_path / "one.parquet").read_bytes()).hexdigest()
