"""Sensors of the host from the kernel's files to the energy of a result, on the path of a job."""

import time
from contextlib import ExitStack

import pytest
from tests.llm_energy.power.made_hwmon import acpi, hwmon, measures
from tests.llm_energy.power.made_power import counting, phases, powercap

from llm_energy.power.accounting import account_energy
from llm_energy.power.sampler import Sampler
from llm_energy.power.series_file import read_series, write_series
from llm_energy.power.sources import (
    campaign_source,
    open_meters,
    read_sensors,
    with_known_periods,
)
from llm_energy.results.parts import Tokens

TOKENS = Tokens(input=100, output=50, requests=5)
CARD_WATTS, PACKAGE_WATTS, MEMORY_WATTS, MACHINE_WATTS = 200.0, 60.0, 10.0, 500.0


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A server with an Intel card and an ACPI meter of the machine: its series, and its account.

    The counters are written by a thread, which a busy machine holds up: the last value is by how
    much that may change an energy at both edges of the window, relative.
    """
    folder = tmp_path_factory.mktemp("server")
    classes = folder / "sys" / "class"
    zones = {"intel-rapl:0": ("package-0", 5), "intel-rapl:0:0": ("dram", 5)}
    powercap(classes / "powercap", zones)
    card = hwmon(classes, 0, "0000:03:00.0", "xe", {"energy1_input": 7, "energy1_label": "card"})
    measures(acpi(classes, 1, MACHINE_WATTS), "LNXSYBUS:00")
    results = folder / "results"
    results.mkdir()
    watts = {
        card / "energy1_input": CARD_WATTS,
        classes / "powercap/intel-rapl:0/energy_uj": PACKAGE_WATTS,
        classes / "powercap/intel-rapl:0:0/energy_uj": MEMORY_WATTS,
    }
    with ExitStack() as stack:
        counters = stack.enter_context(counting(watts))
        meters = open_meters(cpu_model="Made CPU", gpus=True, classes=classes)
        for meter in meters:
            stack.callback(meter.close)
        boards = [d for m in meters for d in m.devices if d.scope == "gpu_board"]
        method, abilities = campaign_source(results, meters, boards, lock=folder / "lock")
        counters.longest_pause_s = 0.0
        with Sampler(meters, rate_hz=50.0) as sampler:
            time.sleep(0.4)
            start_s = time.monotonic()
            time.sleep(2.0)
            end_s = time.monotonic()
            time.sleep(0.2)
    series = with_known_periods(sampler.series(), abilities)
    spans = phases(window=(start_s, end_s))
    account = account_energy(series, spans, TOKENS, scope="gpu_board", method=method)
    lag = 0.02 + 2.0 * counters.longest_pause_s / (end_s - start_s)
    return folder, series, spans, account, lag


def test_each_scope_has_the_energy_that_was_drawn_in_it(measured):
    _, _, spans, account, lag = measured
    seconds = spans[0].end_monotonic_s - spans[0].start_monotonic_s
    truth = {
        "gpu_board": CARD_WATTS,
        "cpu_package": PACKAGE_WATTS,
        "dram": MEMORY_WATTS,
        "chassis": MACHINE_WATTS,
    }
    energy = account.energy
    found = {device.scope: device.energy_joules for device in energy.devices}
    assert found == pytest.approx({s: watts * seconds for s, watts in truth.items()}, rel=lag)
    assert (energy.scope, energy.method, energy.reason) == ("gpu_board", "counter", None)
    parts = CARD_WATTS + PACKAGE_WATTS + MEMORY_WATTS
    assert energy.gpu_cpu_dram_joules == pytest.approx(parts * seconds, rel=lag)
    assert energy.host.scope == "chassis"
    assert energy.host.energy_joules == pytest.approx(MACHINE_WATTS * seconds, rel=lag)
    assert energy.host.joules_per_output_token == pytest.approx(energy.host.energy_joules / 50)


def test_each_device_is_in_the_record_of_sensors_with_scope_and_update_period(measured):
    folder, *_ = measured
    devices = read_sensors(folder / "results")["devices"]
    found = {name.partition("/")[2]: each for name, each in devices.items()}
    assert {name: each["scope"] for name, each in found.items()} == {
        "hwmon:xe:0000:03:00.0:energy1": "gpu_board",
        "hwmon:power_meter:ACPI000D:01:power1": "chassis",
        "intel-rapl:0": "cpu_package",
        "intel-rapl:0:0": "dram",
    }
    card = found["hwmon:xe:0000:03:00.0:energy1"]["fields"]["energy_counter_joules"]
    assert card["reason"] is None
    assert 0.0 < card["update_period_s"] < 0.2
    # one value all along shows no period
    machine = found["hwmon:power_meter:ACPI000D:01:power1"]["fields"]["instant_power_watts"]
    assert machine == {"reason": None, "update_period_s": None}


def test_who_reads_the_series_again_comes_to_the_same_account(measured, tmp_path):
    _, series, spans, account, _ = measured
    file = write_series(tmp_path, "series/1.parquet", series)
    again = read_series(tmp_path / file.path)
    assert again.devices == series.devices
    assert account_energy(again, spans, TOKENS, scope="gpu_board", method="counter") == account
