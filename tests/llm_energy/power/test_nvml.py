"""The NVML meter on NVIDIA's own binding."""

import os
import subprocess
import sys
import time
from contextlib import closing
from itertools import pairwise

import pytest
from tests.llm_energy.power.made_power import powercap
from tests.llm_energy.power.simulated_gpus import AFTER_OPENING, LOADED, opened, sampled
from tests.nvml_simulator import scenario as made
from tests.nvml_simulator.library import VARIABLE
from tests.nvml_simulator.scenario import Fault, Gpu, with_uuid
from tests.waiting import sleep_until

from llm_energy.power.accounting import account_energy
from llm_energy.power.gpu_driver import open_gpus
from llm_energy.power.meter import QUANTITIES, State, warn_unmetered
from llm_energy.power.nvml import NvmlMeter
from llm_energy.power.sources import open_meters
from llm_energy.results.parts import Tokens

TOKENS = Tokens(input=10, output=100, requests=1)
OF_A_BOARD = tuple(name for name in QUANTITIES if name != "module_power_watts")
"""Quantities of a GPU that is on no module."""


def one_reading(*, slow=False):
    with opened() as meter:
        return meter.read(meter.devices[0], slow=slow)


def test_each_query_is_stamped_on_its_own_and_one_gives_all_fields(simulate):
    """Each query takes 20 ms: three of them follow each other in a pass of at least 60 ms."""
    simulate(Gpu(query_s=0.02))
    reading = one_reading()
    of_each = {quantity: reading.stamp(quantity) for quantity in OF_A_BOARD}
    assert of_each["instant_power_watts"] == of_each["average_power_watts"]
    stamps = list(dict.fromkeys(of_each.values()))
    assert len(stamps) == 3
    assert all(stamp.read_s >= 0.02 for stamp in stamps)
    for earlier, later in pairwise(stamps):
        end_s = earlier.monotonic_s + earlier.read_s / 2
        assert end_s <= later.monotonic_s - later.read_s / 2 + 1e-9
    assert stamps[0].monotonic_s - stamps[0].read_s / 2 >= reading.monotonic_s - reading.read_s / 2


def test_a_quantity_that_is_not_there_has_no_stamp(simulate):
    simulate(Gpu(faults=(Fault("counter", made.NOT_SUPPORTED),)))
    assert "energy_counter_joules" not in one_reading().stamps


class TestDevices:
    def test_a_gpu_is_known_by_its_uuid_and_described(self, simulate):
        simulate(Gpu(limit_watts=650.0))
        with opened() as meter:
            (device,) = meter.devices
        assert device.id == Gpu().uuid
        assert device.model == "Simulated GPU"
        assert (device.scope, device.power_limit_watts) == ("gpu_board", 650.0)
        assert device.refusal is None
        assert device.facts == {
            "driver": "580.00 (simulated)",
            "persistence_mode": True,
            "ecc": True,
            "mig": False,
            "architecture": 9,
            "max_sm_clock_mhz": 1980,
            "max_memory_clock_mhz": 2619,
        }

    def test_a_simulated_sensor_is_recognised_by_name_or_driver(self, simulate):
        simulate(Gpu(name="Board 9000"))
        with opened() as meter:
            assert meter.devices[0].simulated
        simulate(Gpu(name="Board 9000"), driver="580.00")
        with opened() as meter:
            assert not meter.devices[0].simulated

    def test_two_handles_of_one_board_are_one_device(self, simulate):
        simulate(LOADED, LOADED, with_uuid(LOADED, 2))
        series, spans = sampled(1.0)
        account = account_energy(series, spans, TOKENS)
        assert len(series.devices) == 2
        assert account.energy.mean_power_watts == pytest.approx(1200.0, rel=0.05)

    def test_a_gpu_that_fell_off_the_bus_hides_no_other(self, simulate):
        lost = with_uuid(Gpu(faults=(Fault("handle", made.GPU_LOST),)), 2)
        simulate(lost, Gpu())
        with opened() as meter:
            assert [device.id for device in meter.devices] == [Gpu().uuid]

    def test_it_is_named_once_however_often_the_driver_is_asked(self, simulate, caplog):
        lost = with_uuid(Gpu(faults=(Fault("handle", made.GPU_LOST),)), 2)
        simulate(lost, Gpu())
        warn_unmetered.cache_clear()
        for only in (None, None, [lost.uuid], [lost.uuid]):
            with closing(NvmlMeter.connect(only)):
                pass
        named = [message for message in caplog.messages if "cannot be metered" in message]
        assert [message.partition(" cannot")[0] for message in named] == ["GPU 0", lost.uuid]

    def test_a_name_that_is_no_text_costs_itself_only(self, simulate):
        simulate(Gpu(name="Board \udcf8\udcff"), with_uuid(Gpu(), 2), driver="555 \udcff")
        with opened() as meter:
            first, second = meter.devices
            reading = meter.read(first, slow=True)
        assert (first.id, first.model) == (Gpu().uuid, "unknown NVIDIA GPU")
        assert (second.model, second.facts["driver"]) == ("Simulated GPU", None)
        assert reading.unavailable == {}

    def test_a_uuid_that_is_no_text_hides_no_other(self, simulate):
        simulate(Gpu(uuid="GPU-\udcff"), Gpu())
        with opened() as meter:
            assert [device.id for device in meter.devices] == [Gpu().uuid]
            assert meter.unreadable == {0: "read_failed"}

    def test_a_driver_that_cannot_count_its_gpus_has_none(self, simulate, monkeypatch):
        simulate(Gpu())
        monkeypatch.setattr("pynvml.nvmlDeviceGetCount", lambda: 1 / 0)
        assert open_gpus() is None

    def test_a_limit_of_0_is_none(self, simulate):
        simulate(Gpu(limit_watts=0.0))
        with opened() as meter:
            assert meter.devices[0].power_limit_watts is None

    def test_without_a_driver_there_is_no_meter(self, monkeypatch):
        monkeypatch.delenv(VARIABLE, raising=False)
        assert open_gpus() is None

    def test_without_a_gpu_there_is_no_meter(self, simulate):
        simulate()
        assert open_gpus() is None


class TestReading:
    def test_one_pass_reads_every_sensor(self, simulate):
        gpu = Gpu(knots=made.constant(600.0), counter_start_mj=5_000)
        truth = simulate(gpu, epoch_s=time.monotonic() - 10.0)
        before = time.monotonic()
        reading = one_reading()
        after = time.monotonic()
        assert reading.instant_power_watts == 600.0
        assert reading.average_power_watts == 600.0
        assert reading.usage_power_watts == 600.0
        counted = reading.energy_counter_joules - 5.0  # since its last update
        least, most = (truth.joules(0, truth.epoch_s, s) for s in (before - 0.1, after))
        assert least - 0.01 <= counted <= most + 0.01
        assert reading.unavailable == {}
        assert reading.state is None
        assert before <= reading.monotonic_s <= after
        assert reading.wall_s == pytest.approx(time.time(), abs=60.0)

    def test_power_of_a_superchip_is_read_by_scope(self, simulate):
        simulate(Gpu(knots=made.constant(600.0), module_watts=150.0))
        reading = one_reading()
        assert (reading.instant_power_watts, reading.module_power_watts) == (600.0, 750.0)
        assert reading.unavailable == {}

    def test_a_board_on_no_module_has_no_power_of_one(self, simulate):
        simulate(Gpu(knots=made.constant(600.0)))
        assert one_reading().module_power_watts is None

    def test_the_state_is_read_when_requested(self, simulate):
        processes = ((4711, 0.0, 1e9),)
        simulate(Gpu(knots=made.constant(600.0), throttle_watts=500.0, processes=processes))
        state = one_reading(slow=True).state
        assert state.sm_clock_mhz == 1980
        assert state.memory_clock_mhz == 2619
        assert state.temperature_celsius == 35
        assert state.utilisation_percent == 100
        assert state.memory_used_bytes == 16 << 30
        assert state.throttle_reasons == 0x4
        assert state.performance_state == 0
        assert state.process_ids == (4711,)

    @pytest.mark.parametrize(
        ("target", "quantity"),
        [
            ("counter", "energy_counter_joules"),
            ("instant", "instant_power_watts"),
            ("average", "average_power_watts"),
            ("usage", "usage_power_watts"),
        ],
    )
    def test_a_quantity_that_is_not_supported_costs_itself_only(self, simulate, target, quantity):
        simulate(Gpu(faults=(Fault(target, made.NOT_SUPPORTED),)))
        reading = one_reading()
        assert reading.unavailable == {quantity: "not_supported"}
        values = {name: getattr(reading, name) for name in OF_A_BOARD}
        assert [name for name, value in values.items() if value is None] == [quantity]

    @pytest.mark.parametrize("target", ["temperature", "clocks", "reasons", "processes"])
    def test_a_state_that_is_not_supported_costs_itself_only(self, simulate, target):
        simulate(Gpu(faults=(Fault(target, made.NOT_SUPPORTED),)))
        state = one_reading(slow=True).state
        fields = {
            "temperature": state.temperature_celsius,
            "clocks": state.sm_clock_mhz,
            "reasons": state.throttle_reasons,
            "processes": state.process_ids,
        }
        assert [name for name, value in fields.items() if value is None] == [target]

    def test_an_error_of_the_gpu_is_a_reason(self, simulate):
        reasons = {made.GPU_LOST: "gpu_lost", made.TIMEOUT: "timeout", 999: "read_failed"}
        failing = [Gpu(faults=(Fault("all", code, AFTER_OPENING),)) for code in reasons]
        truth = simulate(*(with_uuid(gpu, number) for number, gpu in enumerate(failing)))
        with opened() as meter:
            sleep_until(truth.epoch_s + AFTER_OPENING[0])
            found = [meter.read(device, slow=True) for device in meter.devices]
        assert [reading.unavailable for reading in found] == [
            dict.fromkeys(OF_A_BOARD, reason) for reason in reasons.values()
        ]
        assert [reading.state for reading in found] == [State()] * 3


def test_a_process_finds_the_simulator_by_its_library_path(simulate, nvml_library):
    simulate(Gpu(), with_uuid(Gpu(), 2))
    script = (
        "from llm_energy.power.sources import open_meters\n"
        "for meter in open_meters(cpu_model='Made CPU', gpus=True):\n"
        "    print(*[device.id for device in meter.devices if device.simulated])\n"
    )
    environment = os.environ | {
        "LD_LIBRARY_PATH": str(nvml_library.parent),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    ran = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == [Gpu().uuid, with_uuid(Gpu(), 2).uuid]


def test_where_gpus_do_no_work_their_driver_is_left_alone(simulate, tmp_path, monkeypatch):
    simulate(Gpu())
    monkeypatch.setattr("pynvml.nvmlInit", lambda: pytest.fail("opened"))
    powercap(tmp_path / "powercap", {"intel-rapl:0": ("package-0", 5)})
    (meter,) = open_meters(cpu_model="Made CPU", gpus=False, classes=tmp_path)
    assert [device.scope for device in meter.devices] == ["cpu_package"]
    meter.close()


def test_gpus_and_packages_are_metered_side_by_side(simulate, tmp_path):
    simulate(Gpu())
    powercap(tmp_path / "powercap", {"intel-rapl:0": ("package-0", 5)})
    meters = open_meters(cpu_model="Made CPU", gpus=True, classes=tmp_path)
    assert [d.scope for meter in meters for d in meter.devices] == ["gpu_board", "cpu_package"]
    for meter in meters:
        meter.close()


def test_modes_of_newer_drivers_are_reported_where_there_are_any(simulate):
    simulate(Gpu())
    with opened() as meter:
        assert "power_modes" not in meter.devices[0].facts
    simulate(Gpu(edpp_percent=80, profiles=1 << 6))
    with opened() as meter:
        assert meter.devices[0].facts["power_modes"] == (
            "power smoothing off; workload power profiles 6; EDPp multiplier 80 %"
        )
