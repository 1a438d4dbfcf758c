"""RAPL: which domains are metered, how their counters are read, and what is never added up."""

import os
from contextlib import contextmanager

import pytest
from tests.llm_energy.power import made_power

from llm_energy.power.rapl import RaplMeter
from llm_energy.power.sources import open_meters
from llm_energy.results.codes import ENERGY_REASONS

SERVER = {
    "intel-rapl:0": ("package-0", 5_000_000),
    "intel-rapl:0:0": ("core", 3_000_000),
    "intel-rapl:0:1": ("dram", 1_000_000),
    "intel-rapl:1": ("package-1", 7_000_000),
    "intel-rapl:1:0": ("dram", 2_000_000),
    "intel-rapl:2": ("psys", 9_000_000),
    "intel-rapl-mmio:0": ("package-0", 5_000_000),
}


def open_rapl(root):
    meter = RaplMeter.open(root, cpu_model="Made CPU")
    assert meter is not None
    return meter


def test_packages_memory_and_platform_are_metered_but_no_part_of_a_package(tmp_path):
    meter = open_rapl(made_power.powercap(tmp_path, SERVER))
    assert {device.id: device.scope for device in meter.devices} == {
        "package-0": "cpu_package",
        "package-0/dram": "dram",
        "package-1": "cpu_package",
        "package-1/dram": "dram",
        "psys": "platform",
    }
    assert {device.model for device in meter.devices} == {"Made CPU"}


def test_a_reading_is_the_counter_in_joules(tmp_path):
    meter = open_rapl(made_power.powercap(tmp_path, SERVER))
    reading = meter.read(meter.devices[0], slow=False)
    assert reading.energy_counter_joules == pytest.approx(5.0, abs=1e-12)
    assert reading.unavailable == {}
    assert reading.read_s >= 0.0
    assert reading.instant_power_watts is None


def test_the_range_of_the_counter_is_known(tmp_path):
    meter = open_rapl(made_power.powercap(tmp_path, SERVER))
    assert meter.devices[0].counter_range_joules == pytest.approx(262143.32885)


def test_no_tree_is_no_meter(tmp_path):
    assert RaplMeter.open(tmp_path / "absent", cpu_model="Made CPU") is None


def test_a_tree_without_known_domains_is_no_meter(tmp_path):
    root = made_power.powercap(tmp_path, {"intel-rapl:0": ("mystery", 1)})
    assert RaplMeter.open(root, cpu_model="Made CPU") is None


@contextmanager
def an_ordinary_user():
    """Root may read anything: the permission is given up for a while."""
    user = os.geteuid()
    os.seteuid(65534 if user == 0 else user)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_counter_that_only_root_may_read_says_so_with_the_remedy(tmp_path):
    root = made_power.powercap(tmp_path, {"intel-rapl:0": ("package-0", 5)})
    (root / "intel-rapl:0" / "energy_uj").chmod(0o400)
    if os.geteuid() != 0:
        (root / "intel-rapl:0" / "energy_uj").chmod(0)
    meter = open_rapl(root)
    with an_ordinary_user():
        reading = meter.read(meter.devices[0], slow=False)
    assert reading.energy_counter_joules is None
    assert reading.unavailable == {"energy_counter_joules": "permission_denied"}
    assert "chmod" in ENERGY_REASONS["permission_denied"]


def test_a_counter_that_vanishes_is_a_failed_reading(tmp_path):
    root = made_power.powercap(tmp_path, {"intel-rapl:0": ("package-0", 5)})
    meter = open_rapl(root)
    (root / "intel-rapl:0" / "energy_uj").unlink()
    reading = meter.read(meter.devices[0], slow=False)
    assert reading.unavailable == {"energy_counter_joules": "read_failed"}


def test_the_machine_has_rapl_only_where_the_kernel_shows_it(tmp_path):
    assert open_meters(cpu_model="Made CPU", powercap=tmp_path) == ()
    made_power.powercap(tmp_path, SERVER)
    (meter,) = open_meters(cpu_model="Made CPU", powercap=tmp_path)
    assert len(meter.devices) == 5
