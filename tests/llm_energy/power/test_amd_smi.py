"""The meter of AMD's GPUs on AMD's own binding, which loads a simulated library."""

import time
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import pytest
from tests.amd_smi_simulator import scenario as made
from tests.amd_smi_simulator.scenario import UNITS_PER_JOULE, AmdGpu
from tests.llm_energy.power.made_power import phases
from tests.llm_energy.power.simulated_gpus import AFTER_OPENING
from tests.nvml_simulator.scenario import Fault, constant, with_uuid
from tests.waiting import sleep_until

from llm_energy.power import amd_smi
from llm_energy.power.accounting import account_energy
from llm_energy.power.amd_smi import AmdSmiMeter
from llm_energy.power.meter import QUANTITIES, State
from llm_energy.power.sampler import Sampler
from llm_energy.power.sensor_probe import probe
from llm_energy.power.sources import choose
from llm_energy.results.parts import Tokens

BUSY = AmdGpu(knots=constant(600.0))
RADEON = replace(BUSY, architecture="1100", average_only=True, accumulator_bits=0)
OF_A_BOARD = tuple(name for name in QUANTITIES if name != "module_power_watts")
TOKENS = Tokens(input=10, output=100, requests=1)
SUPPORTED = {"usage_power_watts": "not_supported", "average_power_watts": "not_supported"}
"""Quantities that an MI300 lacks."""


@contextmanager
def opened():
    meter = AmdSmiMeter.connect()
    try:
        yield meter
    finally:
        meter.close()


def one_reading(*, slow=False):
    with opened() as meter:
        return meter.read(meter.devices[0], slow=slow)


def measured(duration_s=1.0):
    """The energy of a window, and its edges."""
    with opened() as meter, Sampler([meter], rate_hz=50.0) as sampler:
        time.sleep(0.2)
        start_s = time.monotonic()
        time.sleep(duration_s)
        end_s = time.monotonic()
        time.sleep(0.2)
    series = sampler.series()
    spans = phases(window=(start_s, end_s))
    return account_energy(series, spans, TOKENS).energy, (start_s, end_s)


class TestDevices:
    def test_a_gpu_is_known_by_its_uuid_and_described(self, simulate_amd):
        simulate_amd(AmdGpu(limit_watts=650.0), driver="6.14.14 (simulated)")
        with opened() as meter:
            (device,) = meter.devices
            assert meter.memory_bytes(device) == 192 << 30
            assert meter.default_limit_watts(device) == 700.0
        assert device.id == "00000000-0000-0000-0000-000000000001"
        assert (device.model, device.scope) == ("Simulated Instinct", "gpu_board")
        assert (device.power_limit_watts, device.simulated) == (650.0, True)
        assert (device.refusal, device.counter_range_joules) == (None, None)
        assert device.facts == {
            "vendor": "AMD",
            "driver": "6.14.14 (simulated)",
            "bdf": "0000:10:00.0",
            "architecture": "gfx942",
            "compute_partition": "SPX",
            "persistence_mode": None,
            "ecc": None,
            "max_sm_clock_mhz": 1980.0,
            "max_memory_clock_mhz": 2619.0,
        }

    def test_only_those_of_a_set_are_metered(self, simulate_amd):
        simulate_amd(AmdGpu(), with_uuid(AmdGpu(), 2))
        meter = AmdSmiMeter.connect([with_uuid(AmdGpu(), 2).id])
        assert [device.id[-1] for device in meter.devices] == ["2"]
        meter.close()

    def test_boards_without_serial_numbers_are_told_apart_by_their_addresses(self, simulate_amd):
        """AMD SMI makes the UUID of the serial number, so that these have one UUID."""
        simulate_amd(BUSY, BUSY)
        with opened() as meter:
            assert [device.id for device in meter.devices] == ["0000:10:00.0", "0000:11:00.0"]

    def test_a_gpu_that_cannot_be_named_hides_no_other(self, simulate_amd):
        lost = replace(AmdGpu(), faults=(Fault("uuid", made.NOT_FOUND),))
        simulate_amd(lost, with_uuid(AmdGpu(), 2))
        with opened() as meter:
            assert [device.id[-1] for device in meter.devices] == ["2"]
            assert meter.unreadable == {0: "gpu_lost"}

    @pytest.mark.parametrize(
        "changes", [{"name": "AMD Instinct MI250X"}, {"partition": "CPX"}], ids=["dies", "parts"]
    )
    def test_sensors_of_a_board_that_is_several_gpus_give_no_energy(self, simulate_amd, changes):
        simulate_amd(replace(BUSY, **changes))
        energy, _ = measured(0.5)
        assert (energy.energy_joules, energy.reason) == (None, "board_shared")

    @pytest.mark.parametrize(
        ("changes", "scope"),
        [
            ({"name": "AMD Instinct MI300A"}, "module"),
            ({"format_revision": 3}, "module"),
            ({"architecture": "1030"}, "gpu_chip"),
            ({"architecture": "1151"}, "module"),
        ],
    )
    def test_a_gpu_has_the_scope_of_what_its_sensor_sees(self, simulate_amd, changes, scope):
        simulate_amd(replace(BUSY, **changes))
        with opened() as meter:
            (device,) = meter.devices
        assert (device.scope, device.refusal, device.is_gpu) == (scope, None, True)

    def test_energy_of_an_apu_is_that_of_its_module(self, simulate_amd):
        truth = simulate_amd(replace(BUSY, name="AMD Instinct MI300A"))
        energy, span = measured(0.5)
        assert (energy.scope, energy.reason) == ("module", None)
        assert energy.energy_joules == pytest.approx(truth.joules(0, *span), rel=0.05)

    def test_what_a_gpu_does_not_say_of_itself_costs_nothing_else(self, simulate_amd):
        silent = ("name", "driver", "partition", "metrics", "limit", "clocks", "temperature")
        simulate_amd(replace(BUSY, faults=tuple(Fault(t, made.NOT_SUPPORTED) for t in silent)))
        with opened() as meter:
            (device,) = meter.devices
            reading = meter.read(device, slow=True)
        assert (device.model, device.refusal) == ("unknown AMD GPU", None)
        assert device.power_limit_watts is None
        assert reading.unavailable == SUPPORTED
        assert reading.state.temperature_celsius == 35  # at the edge


class TestReading:
    def test_one_pass_reads_every_sensor(self, simulate_amd):
        truth = simulate_amd(BUSY, epoch_s=time.monotonic() - 10.0)
        before = time.monotonic()
        reading = one_reading()
        least, most = (truth.joules(0, truth.epoch_s, s) for s in (before, time.monotonic()))
        assert reading.instant_power_watts == 600.0
        assert least - 0.01 <= reading.energy_counter_joules <= most + 0.01
        assert reading.unavailable == SUPPORTED
        assert reading.state is None

    def test_each_query_is_stamped_on_its_own(self, simulate_amd):
        simulate_amd(replace(BUSY, query_s=0.02))
        reading = one_reading()
        stamps = [reading.stamp(q) for q in ("energy_counter_joules", "instant_power_watts")]
        for earlier, later in pairwise(stamps):
            end_s = earlier.monotonic_s + earlier.read_s / 2
            assert end_s <= later.monotonic_s - later.read_s / 2 + 1e-9

    def test_a_radeon_reports_an_average_and_no_accumulator(self, simulate_amd):
        """Its firmware fills what it does not know with ones, which the binding passes on."""
        simulate_amd(RADEON, epoch_s=time.monotonic() - 10.0)
        reading = one_reading()
        assert reading.average_power_watts == 600.0
        assert reading.unavailable == dict.fromkeys(
            ("usage_power_watts", "energy_counter_joules", "instant_power_watts"), "not_supported"
        )

    def test_the_state_is_read_when_requested(self, simulate_amd):
        simulate_amd(replace(BUSY, processes=((4711, 0.0, 1e9),)))
        assert one_reading(slow=True).state == State(
            temperature_celsius=35.0,
            sm_clock_mhz=1980.0,
            memory_clock_mhz=2619.0,
            utilisation_percent=100.0,
            memory_used_bytes=16 << 30,
            throttle_reasons=None,  # a first table of how long it lasted says nothing
            process_ids=(4711,),
            power_limit_watts=700.0,
        )

    @pytest.mark.parametrize("target", ["clocks", "utilisation", "memory", "processes", "limit"])
    def test_a_state_that_is_not_supported_costs_itself_only(self, simulate_amd, target):
        simulate_amd(replace(BUSY, faults=(Fault(target, made.NOT_SUPPORTED),)))
        state = one_reading(slow=True).state
        fields = {
            "clocks": state.sm_clock_mhz,
            "utilisation": state.utilisation_percent,
            "memory": state.memory_used_bytes,
            "processes": state.process_ids,
            "limit": state.power_limit_watts,
        }
        assert [name for name, value in fields.items() if value is None] == [target]

    def test_an_error_of_the_gpu_is_a_reason(self, simulate_amd):
        reasons = {made.NOT_FOUND: "gpu_lost", made.TIMEOUT: "timeout", 10: "read_failed"}
        failing = [replace(BUSY, faults=(Fault("all", code, AFTER_OPENING),)) for code in reasons]
        truth = simulate_amd(*(with_uuid(gpu, number) for number, gpu in enumerate(failing)))
        with opened() as meter:
            sleep_until(truth.epoch_s + AFTER_OPENING[0])
            found = [meter.read(device, slow=True) for device in meter.devices]
        assert [reading.unavailable for reading in found] == [
            dict.fromkeys(OF_A_BOARD, reason) | {"usage_power_watts": "not_supported"}
            for reason in reasons.values()
        ]
        assert [reading.state for reading in found] == [State()] * 3

    def test_a_gpu_whose_pci_device_is_gone_is_lost(self, simulate_amd, tmp_path, monkeypatch):
        monkeypatch.setattr(amd_smi, "PCI_DEVICES", tmp_path)
        (tmp_path / "0000:10:00.0").mkdir()
        truth = simulate_amd(replace(BUSY, faults=(Fault("power", 10, AFTER_OPENING),)))
        with opened() as meter:
            sleep_until(truth.epoch_s + AFTER_OPENING[0])
            (device,) = meter.devices
            before = meter.read(device, slow=False).unavailable["instant_power_watts"]
            (tmp_path / "0000:10:00.0").rmdir()
            after = meter.read(device, slow=False).unavailable["instant_power_watts"]
        assert (before, after) == ("read_failed", "gpu_lost")


class TestThrottling:
    def states(self, simulate_amd, gpu):
        simulate_amd(gpu)
        with opened() as meter:
            (device,) = meter.devices
            first = meter.read(device, slow=True).state.throttle_reasons
            time.sleep(0.05)
            return first, meter.read(device, slow=True).state.throttle_reasons

    def test_by_how_long_it_has_lasted(self, simulate_amd):
        assert self.states(simulate_amd, replace(BUSY, throttle_watts=500.0)) == (None, 0x4)
        assert self.states(simulate_amd, BUSY) == (None, 0)

    def test_by_the_mask_of_older_gpus(self, simulate_amd):
        assert self.states(simulate_amd, replace(RADEON, throttle_watts=500.0)) == (0x4, 0x4)
        assert self.states(simulate_amd, RADEON) == (0, 0)


class TestEnergy:
    def counted_over_true(self, simulate_amd, microjoules):
        """Joules of the counter since it began, 1000 s ago, over the true ones."""
        began_s = time.monotonic() - 1000.0
        truth = simulate_amd(replace(BUSY, resolution_microjoules=microjoules), epoch_s=began_s)
        reading = one_reading()
        read_s = reading.stamp("energy_counter_joules").monotonic_s
        return reading.energy_counter_joules / truth.joules(0, began_s, read_s)

    @pytest.mark.parametrize("microjoules", [15.3, 15.259, 15.2587890625])
    def test_the_accumulator_counts_the_units_of_the_firmware(self, simulate_amd, microjoules):
        """15.3 as it is would be 0.27 % too much."""
        assert self.counted_over_true(simulate_amd, microjoules) == pytest.approx(1.0, abs=5e-4)

    def test_another_resolution_is_taken_as_reported(self, simulate_amd):
        half = 15.2587890625 / 2
        assert self.counted_over_true(simulate_amd, half) == pytest.approx(0.5, abs=5e-4)

    def test_a_wrap_of_32_bits_in_the_window_costs_nothing(self, simulate_amd):
        wraps_s, before_wrap = 2.0, 2**32 - round(2.0 * 600.0 * UNITS_PER_JOULE)
        gpu = replace(
            BUSY,
            architecture="908",
            accumulator_bits=32,
            accumulator_start=before_wrap,
        )
        truth = simulate_amd(gpu)
        energy, (start_s, end_s) = measured(3.0)
        assert start_s < truth.epoch_s + wraps_s < end_s
        assert energy.energy_joules == pytest.approx(truth.joules(0, start_s, end_s), rel=0.02)

    def test_without_an_accumulator_power_now_is_integrated(self, simulate_amd):
        simulate_amd(replace(BUSY, accumulator_bits=0))
        with opened() as meter:
            (abilities,) = probe([meter], duration_s=0.5).values()
        assert choose([abilities]) == "integrated_instant"

    def test_an_average_alone_gives_no_energy(self, simulate_amd):
        simulate_amd(replace(BUSY, average_only=True, accumulator_bits=0))
        energy, _ = measured(0.5)
        assert (energy.energy_joules, energy.reason) == (None, "not_supported")
