"""Sensors of the kernel's hwmon tree: which are metered, in which scope, and what they never do."""

import pytest
from tests.llm_energy.power.made_hwmon import acpi, grace_hopper, hwmon, jetson, measures
from tests.llm_energy.power.made_power import counting

from llm_energy.power.hwmon import hwmon_sensors
from llm_energy.power.sampler import Sampler
from llm_energy.power.sensor_probe import probe
from llm_energy.power.sources import open_meters
from llm_energy.power.sysfs import SysfsMeter

CARD = {"energy1_input": 5_000_000, "energy1_label": "card", "device/device": "0x56c0"}


@pytest.fixture
def classes(tmp_path):
    return tmp_path / "sys" / "class"


def opened(classes, *, gpus=True):
    meter = SysfsMeter.open(hwmon_sensors(classes / "hwmon", gpus=gpus))
    assert meter is not None
    return meter


def read(classes):
    meter = opened(classes)
    return {d.label or d.id: meter.read(d, slow=True) for d in meter.devices}


class TestAcpi:
    def test_each_rail_of_a_socket_is_a_device_with_a_scope_of_its_own(self, classes):
        grace_hopper(classes)
        found = {device.label: device for device in opened(classes).devices}
        assert {label: device.scope for label, device in found.items()} == {
            "Module Power Socket 0": "module",
            "Grace Power Socket 0": "cpu_socket",
            "CPU Power Socket 0": "rail",
            "SysIO Power Socket 0": "rail",
            "Module Power Socket 1": "module",
            "Grace Power Socket 1": "cpu_socket",
            "CPU Power Socket 1": "rail",
            "SysIO Power Socket 1": "rail",
        }
        assert found["Grace Power Socket 0"].id == "hwmon:power_meter:ACPI000D:02:power1"
        assert found["Grace Power Socket 0"].facts["accuracy"] == "90.0%"

    def test_an_average_over_50_ms_is_power_now(self, classes):
        acpi(classes, 0, 300.5, label="Grace Power Socket 0")
        (reading,) = read(classes).values()
        assert (reading.instant_power_watts, reading.average_power_watts) == (300.5, None)

    @pytest.mark.parametrize(
        ("interval_ms", "averaging_s"), [(1000, 1.0), (300_000, 300.0), ("", None)]
    )
    def test_a_longer_average_says_over_how_long(self, classes, interval_ms, averaging_s):
        acpi(classes, 0, 300.5, interval_ms=interval_ms)
        (device,) = opened(classes).devices
        (reading,) = read(classes).values()
        assert (reading.instant_power_watts, reading.average_power_watts) == (None, 300.5)
        assert device.averaging_s == averaging_s

    def test_a_meter_of_the_system_bus_is_that_of_the_machine(self, classes):
        measures(acpi(classes, 0, 900.0), "LNXSYBUS:00")
        measures(acpi(classes, 1, 100.0), "device:1a")
        assert [device.scope for device in opened(classes).devices] == ["chassis", "rail"]

    def test_all_ones_are_no_power(self, classes):
        acpi(classes, 0, 0xFFFFFFFF / 1000)
        (reading,) = read(classes).values()
        assert reading.unavailable == {"instant_power_watts": "hwmon_unreadable"}

    def test_files_may_lie_in_the_folder_of_the_hwmon_device(self, classes):
        files = {"power1_average": 7_000_000, "power1_average_interval": 50}
        hwmon(classes, 0, "ACPI000D:00", "power_meter", files)
        (reading,) = read(classes).values()
        assert reading.instant_power_watts == 7.0


class TestIna:
    def test_the_input_of_a_module_is_apart_from_the_rails_behind_it(self, classes):
        jetson(classes)
        scopes = {device.label: device.scope for device in opened(classes).devices}
        assert scopes == {"VDD_IN": "board", "VDD_CPU_GPU_CV": "rail", "VDD_SOC": "rail"}
        watts = {label: one.instant_power_watts for label, one in read(classes).items()}
        assert watts == pytest.approx({"VDD_IN": 10.0, "VDD_CPU_GPU_CV": 4.5, "VDD_SOC": 2.0})

    def test_a_channel_that_is_off_is_no_device(self, classes):
        (jetson(classes) / "in2_enable").write_text("0\n")
        assert [device.label for device in opened(classes).devices] == ["VDD_IN", "VDD_SOC"]

    def test_a_monitor_that_computes_power_is_read_once(self, classes):
        files = {"label": "VDD_MUX", "in1_input": 19000, "curr1_input": 3, "power1_input": 60_000}
        hwmon(classes, 4, "2-0041", "ina226", files)
        assert read(classes)["VDD_MUX"].instant_power_watts == pytest.approx(0.06)

    def test_two_monitors_have_names_that_outlast_a_boot(self, classes):
        for number, place in ((7, "1-0040"), (2, "1-0041")):
            files = {"in1_input": 5000, "curr1_input": 100}
            hwmon(classes, number, place, "ina3221", files)
        ids = sorted(device.id for device in opened(classes).devices)
        assert ids == ["hwmon:ina3221:1-0040:1", "hwmon:ina3221:1-0041:1"]


class TestGpus:
    def test_a_card_counts_microjoules_and_its_package_is_apart(self, classes):
        files = CARD | {"energy2_input": 4_000_000, "energy2_label": "pkg"}
        hwmon(classes, 1, "0000:03:00.0", "xe", files)
        meter = opened(classes)
        assert [(d.label, d.scope) for d in meter.devices] == [
            ("card", "gpu_board"),
            ("pkg", "gpu_chip"),
        ]
        assert meter.devices[0].model == "xe GPU 0x56c0"
        joules = [meter.read(d, slow=False).energy_counter_joules for d in meter.devices]
        assert joules == pytest.approx([5.0, 4.0])

    def test_the_tiles_of_a_card_are_no_devices(self, classes):
        for number, name in enumerate(("i915", "i915_gt0", "i915_gt1")):
            hwmon(classes, number, "0000:03:00.0", name, {"energy1_input": 5})
        assert [d.id for d in opened(classes).devices] == ["hwmon:i915:0000:03:00.0:energy1"]

    def test_power_of_an_amd_gpu_is_that_of_its_chip(self, classes):
        files = {"power1_average": 95_000_000, "power1_input": 96_000_000, "power1_label": "PPT"}
        hwmon(classes, 1, "0000:0a:00.0", "amdgpu", files)
        (device,) = opened(classes).devices
        reading = read(classes)["PPT"]
        assert device.scope == "gpu_chip"
        assert (reading.instant_power_watts, reading.average_power_watts) == (96.0, 95.0)

    def test_an_apu_is_left_to_rapl(self, classes):
        files = {"power1_input": 15_000_000, "in0_input": 900, "in1_input": 800}
        hwmon(classes, 1, "0000:0a:00.0", "amdgpu", files)
        assert hwmon_sensors(classes / "hwmon", gpus=True) == []

    def test_where_gpus_do_no_work_they_are_left_asleep(self, classes):
        hwmon(classes, 1, "0000:03:00.0", "xe", CARD)
        assert hwmon_sensors(classes / "hwmon", gpus=False) == []


def test_sensors_whose_place_nothing_says_are_no_devices(classes):
    hwmon(classes, 0, "nvme0", "nvme", {"temp1_input": 30_000})
    hwmon(classes, 1, "1-1:1.0", "corsairpsu", {"power1_input": 200_000_000})
    assert hwmon_sensors(classes / "hwmon", gpus=True) == []


BROKEN = ["", "\n", "-5", "power", "1.5e6", "9" * 5000, b"\xff\xfe", None, "folder", "dangling"]


@pytest.mark.parametrize("content", BROKEN)
def test_no_answer_of_a_file_is_an_error(classes, content):
    grace_hopper(classes)
    jetson(classes)
    hwmon(classes, 20, "0000:03:00.0", "xe", CARD)
    meter = opened(classes)
    files = [*classes.parent.rglob("power1_average"), *classes.parent.rglob("in?_input")]
    files += [*classes.parent.rglob("energy1_input")]
    assert len({file.resolve() for file in files}) == 12
    for file in {file.resolve() for file in files}:
        file.unlink()
        if content == "folder":
            file.mkdir()
        elif content == "dangling":
            file.symlink_to("nowhere")
        elif content is not None:
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
    for device in meter.devices:
        reading = meter.read(device, slow=True)
        assert list(reading.unavailable.values()) == ["hwmon_unreadable"]
        assert reading.instant_power_watts is reading.energy_counter_joules is None
    hwmon_sensors(classes / "hwmon", gpus=True)  # and opening them is none either


@pytest.mark.parametrize("link", ["device", "class"])
def test_links_that_dangle_as_in_a_container_cost_the_sensor_alone(classes, link):
    own = hwmon(classes, 0, "1-0040", "ina226", {"power1_input": 5_000_000})
    if link == "device":
        (own / "device").unlink()
        (own / "device").symlink_to("/nowhere")
        (device,) = opened(classes).devices
        assert device.id == "hwmon:ina226:hwmon0:1"
    else:
        (classes / "hwmon" / "hwmon0").unlink()
        (classes / "hwmon" / "hwmon0").symlink_to("/nowhere")
        assert hwmon_sensors(classes / "hwmon", gpus=True) == []


def test_the_probe_sees_how_often_each_sensor_updates(classes):
    jetson(classes)
    own = hwmon(classes, 5, "0000:03:00.0", "xe", CARD)
    meters = open_meters(cpu_model="Made CPU", gpus=False, classes=classes)
    assert [device.scope for meter in meters for device in meter.devices] == [
        "board",
        *["rail"] * 2,
    ]
    with counting({own / "energy1_input": 200.0}):
        (card,) = probe([opened_card(classes)], duration_s=0.5).values()
    assert (card["scope"], card["fields"]["energy_counter_joules"]["reason"]) == ("gpu_board", None)
    assert card["fields"]["energy_counter_joules"]["update_period_s"] < 0.2
    for meter in meters:
        meter.close()


def opened_card(classes):
    cards = [s for s in hwmon_sensors(classes / "hwmon", gpus=True) if s.device.model[:2] == "xe"]
    return SysfsMeter(cards)


def test_the_sampler_reads_them_as_it_reads_any(classes):
    grace_hopper(classes)
    with Sampler([opened(classes)], rate_hz=50.0) as sampler:
        pass
    series = sampler.series()
    assert len(series.by_device) == 8
    module = next(d for d in series.devices if d.label == "Module Power Socket 1")
    assert set(series.samples(module, "instant_power_watts").values) == {701.0}
