"""RAPL: which domains are metered, how their counters are read, and what is never added up."""

import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.llm_energy.power import made_power

from llm_energy.backends.runtime import SCRIPTS
from llm_energy.power.rapl import RaplMeter
from llm_energy.power.sensor_probe import probe
from llm_energy.power.sources import campaign_source, can_meter, open_meters
from llm_energy.preflight.host_findings import forbidden_cpu_energy
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
        "intel-rapl:0": "cpu_package",
        "intel-rapl:0:1": "dram",
        "intel-rapl:1": "cpu_package",
        "intel-rapl:1:0": "dram",
        "intel-rapl:2": "platform",
    }
    labels = ["package-0", "package-0/dram", "package-1", "package-1/dram", "psys"]
    assert [device.label for device in meter.devices] == labels
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


@pytest.mark.parametrize("content", ["-5", "1_000", "٣٤", "1.5e6", "", "9" * 5000])
def test_what_is_no_number_of_the_kernel_is_no_counter(tmp_path, content):
    root = made_power.powercap(tmp_path, SERVER)
    for name in ("energy_uj", "max_energy_range_uj"):
        (root / "intel-rapl:0" / name).write_text(content)
    meter = open_rapl(root)
    reading = meter.read(meter.devices[0], slow=False)
    assert reading.energy_counter_joules is None
    assert reading.unavailable == {"energy_counter_joules": "rapl_unreadable"}
    assert meter.devices[0].counter_range_joules is None


def test_memory_of_a_package_without_a_name_is_labelled_by_its_folder(tmp_path):
    meter = open_rapl(made_power.powercap(tmp_path, {"intel-rapl:0:0": ("dram", 1_000)}))
    assert [device.label for device in meter.devices] == ["intel-rapl:0/dram"]


def test_two_zones_of_one_name_are_two_devices(tmp_path):
    zones = {"intel-rapl:0": ("package-0", 5_000_000), "intel-rapl:1": ("package-0", 7_000_000)}
    meter = open_rapl(made_power.powercap(tmp_path, zones))
    assert [device.label for device in meter.devices] == ["package-0", "package-0"]
    read = [meter.read(device, slow=False).energy_counter_joules for device in meter.devices]
    assert read == pytest.approx([5.0, 7.0])


@pytest.mark.parametrize(
    ("files", "bound_watts"),
    [
        ({}, 1000.0),
        ({"constraint_0_power_limit_uw": "125000000"}, 250.0),
        (
            {
                "constraint_0_power_limit_uw": "125000000",
                "constraint_0_max_power_uw": "0",
                "constraint_1_power_limit_uw": "253000000",
            },
            506.0,
        ),
        ({"constraint_0_max_power_uw": "15000000"}, 200.0),
        ({"constraint_0_power_limit_uw": "4095875000"}, 1000.0),
        ({"constraint_0_power_limit_uw": "125000000", "enabled": "0"}, 1000.0),
        ({"constraint_0_power_limit_uw": ""}, 1000.0),
    ],
)
def test_what_a_zone_can_draw_is_bounded_by_its_limits(tmp_path, files, bound_watts):
    root = made_power.powercap(tmp_path, {"intel-rapl:0": ("package-0", 5)})
    for name, content in files.items():
        (root / "intel-rapl:0" / name).write_text(content)
    assert open_rapl(root).devices[0].power_bound_watts == pytest.approx(bound_watts)


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
    command, option = "`sudo envs/workflow/readable-rapl.sh`", "`--config remeasure=invalid`"
    assert command in ENERGY_REASONS["permission_denied"]
    assert option in ENERGY_REASONS["permission_denied"]


def test_a_run_says_before_it_begins_that_only_root_may_read_the_counters():
    with TemporaryDirectory() as name:  # tmp_path is closed to other users
        Path(name).chmod(0o755)
        root = made_power.powercap(Path(name), {"intel-rapl:0": ("package-0", 5)})
        (root / "intel-rapl:0" / "energy_uj").chmod(0o400 if os.geteuid() == 0 else 0)
        with an_ordinary_user():
            assert forbidden_cpu_energy(root) == ENERGY_REASONS["permission_denied"]


def test_there_is_nothing_to_do_for_counters_that_can_be_read_or_do_not_exist(tmp_path):
    assert forbidden_cpu_energy(tmp_path) is None
    root = made_power.powercap(tmp_path, {"intel-rapl:0": ("package-0", 5)})
    assert forbidden_cpu_energy(root) is None


def test_counters_that_may_be_read_by_now_are_looked_at_again(tmp_path):
    """Nothing was seen of them before: neither their period nor that one repeats another."""
    root = made_power.powercap(tmp_path, {"intel-rapl:0": ("package-0", 5)})
    counter = root / "intel-rapl:0" / "energy_uj"
    meter = open_rapl(root)
    counter.chmod(0o400 if os.geteuid() == 0 else 0)
    with an_ordinary_user():
        denied = probe([meter], duration_s=0.1)
    (tmp_path / "sensors.json").write_text(json.dumps({"method": "counter", "devices": denied}))
    counter.chmod(0o444)
    _, abilities = campaign_source(tmp_path, [meter], meter.devices, lock=tmp_path / "lock")
    reason = abilities["intel-rapl:0"]["fields"]["energy_counter_joules"]["reason"]
    assert reason != "permission_denied"


def test_the_script_that_makes_them_readable_leaves_a_rule_for_every_boot(tmp_path):
    log = tmp_path / "called"
    for name in ("groupadd", "usermod", "udevadm"):
        command = tmp_path / name
        command.write_text(f'#!/bin/sh\necho "{name} $*" >>{log}\n')
        command.chmod(0o755)
    script, rules = SCRIPTS.parent / "envs/workflow/readable-rapl.sh", tmp_path / "rules"
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "RULES": str(rules)}
    refused = subprocess.run([script], env=environment, capture_output=True, text=True, check=False)
    assert (refused.returncode, log.exists()) == (1, False)
    subprocess.run([script], env=environment | {"SUDO_USER": "alice"}, check=True)
    assert log.read_text().splitlines() == [
        "groupadd --force --system rapl",
        "usermod --append --groups rapl alice",
        "udevadm control --reload",
        "udevadm trigger --action=add --subsystem-match=powercap",
    ]
    (rule,) = rules.read_text().splitlines()
    assert rule.startswith('ACTION=="add", SUBSYSTEM=="powercap", KERNEL=="intel-rapl:*", RUN+=')
    assert "/bin/chgrp rapl /sys%p/energy_uj" in rule


class TestUnreadable:
    """Zones as they look inside containers: each costs its own energy, and nothing is raised."""

    def reasons(self, root):
        meter = open_rapl(root)
        readings = [meter.read(device, slow=True) for device in meter.devices]
        return [reading.unavailable.get("energy_counter_joules") for reading in readings]

    def test_a_link_that_dangles_may_be_a_package(self, tmp_path):
        root = made_power.powercap(tmp_path, {"intel-rapl:0": ("package-0", 5)})
        (root / "intel-rapl:1").symlink_to("../../devices/virtual/powercap/intel-rapl:1")
        (root / "intel-rapl:1:0").symlink_to("../../devices/virtual/powercap/intel-rapl:1:0")
        assert self.reasons(root) == [None, "rapl_unreadable"]
        assert [device.scope for device in open_rapl(root).devices] == ["cpu_package"] * 2

    @pytest.mark.parametrize("content", [None, "", "nonsense", b"\xff\xfe"])
    @pytest.mark.parametrize("name", ["energy_uj", "max_energy_range_uj", "name"])
    def test_a_file_that_is_missing_or_holds_no_number(self, tmp_path, name, content):
        root = made_power.powercap(tmp_path, {"intel-rapl:0": ("package-0", 5)})
        file = root / "intel-rapl:0" / name
        file.unlink()
        if content is not None:
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        if name == "name" and content == "nonsense":
            assert RaplMeter.open(root, cpu_model="Made CPU") is None  # another kind of zone
        else:
            expected = "rapl_unreadable" if name == "energy_uj" else None
            assert self.reasons(root) == [expected]

    def test_a_zone_without_a_name_counts_for_no_package(self, tmp_path):
        """It may be psys, which holds all packages."""
        root = made_power.powercap(tmp_path, {**SERVER, "intel-rapl:2": ("", 9_000_000)})
        (zone,) = (device for device in open_rapl(root).devices if device.id == "intel-rapl:2")
        assert (zone.scope, zone.refusal) == ("cpu_package", "rapl_unreadable")

    def test_a_counter_that_vanishes(self, tmp_path):
        root = made_power.powercap(tmp_path, {"intel-rapl:0": ("package-0", 5)})
        meter = open_rapl(root)
        (root / "intel-rapl:0" / "energy_uj").unlink()
        reading = meter.read(meter.devices[0], slow=False)
        assert reading.unavailable == {"energy_counter_joules": "rapl_unreadable"}


def test_a_campaign_can_be_metered_where_a_counter_of_a_package_can_be_read(tmp_path):
    assert not can_meter(gpus=False, classes=tmp_path)
    root = made_power.powercap(tmp_path / "powercap", SERVER)
    assert can_meter(gpus=False, classes=tmp_path)
    assert not can_meter(gpus=True, classes=tmp_path)
    for name in ("intel-rapl:0", "intel-rapl:1"):
        (root / name / "energy_uj").unlink()  # psys and memory are left
    assert not can_meter(gpus=False, classes=tmp_path)


def test_the_machine_has_rapl_only_where_the_kernel_shows_it(tmp_path):
    assert open_meters(cpu_model="Made CPU", gpus=True, classes=tmp_path) == ()
    made_power.powercap(tmp_path / "powercap", SERVER)
    (meter,) = open_meters(cpu_model="Made CPU", gpus=True, classes=tmp_path)
    assert len(meter.devices) == 5
