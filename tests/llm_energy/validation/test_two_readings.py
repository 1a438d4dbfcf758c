"""One window read two ways, on made power whose energy is known."""

import math

import pytest

from llm_energy.power.meter import Device, Reading
from llm_energy.power.sensor import Sensor
from llm_energy.power.series import Series
from llm_energy.validation.two_readings import compare, reading_of, relative

GPU = Device(id="GPU-1", model="Made GPU", scope="gpu_board", simulated=True)
OFFSET_S = 1.8e9


def ramp(time_s: float) -> float:
    return 100.0 + 10.0 * time_s


def ours() -> Series:
    """Read at 10 Hz for 20 s."""
    readings = [
        Reading(
            device=GPU.id,
            monotonic_s=n / 10,
            wall_s=OFFSET_S + n / 10,
            read_s=0.001,
            energy_counter_joules=100.0 * n / 10 + 5.0 * (n / 10) ** 2,
            instant_power_watts=ramp(n / 10),
            unavailable={"average_power_watts": "not_supported"},
        )
        for n in range(201)
    ]
    return Series((GPU,), tuple(readings), 10.0)


def theirs(*, gain: float = 1.0, uuid: str = GPU.id, until_s: float = 20.0) -> Series:
    """Read at 4 Hz."""
    readings = [
        Reading(
            device=uuid,
            monotonic_s=n / 4,
            wall_s=OFFSET_S + n / 4,
            read_s=math.nan,
            instant_power_watts=gain * ramp(n / 4),
            unavailable={"average_power_watts": "not_supported"},
        )
        for n in range(int(4 * until_s) + 1)
    ]
    return Series((GPU,), tuple(readings), 4.0)


def compared(rows: Series):
    return compare(ours(), rows, start_s=2.05, end_s=12.05)


def test_both_ways_give_the_energy_of_the_window_and_their_difference():
    (device,) = compared(theirs(gain=1.02))
    instant = device["quantities"]["power.draw.instant"]
    true = 10.0 * ramp(7.05)
    assert instant["nvml"]["energy_joules"] == pytest.approx(true)
    assert instant["nvidia_smi"]["energy_joules"] == pytest.approx(1.02 * true)
    assert instant["relative_difference"] == pytest.approx(0.02)
    assert device["counter_joules"] == pytest.approx(true, rel=1e-4)
    assert device["simulated"]


def test_each_way_says_how_often_it_read():
    (device,) = compared(theirs())
    instant = device["quantities"]["power.draw.instant"]
    assert (instant["nvml"]["samples"], instant["nvidia_smi"]["samples"]) == (100, 40)
    assert instant["nvml"]["delivered_hz"] == pytest.approx(10.0)
    assert instant["nvidia_smi"]["delivered_hz"] == pytest.approx(4.0)
    assert instant["nvidia_smi"]["longest_gap_s"] == pytest.approx(0.25)


def test_what_is_not_there_is_a_reason_and_no_difference():
    (device,) = compared(theirs())
    average = device["quantities"]["power.draw.average"]
    assert average["nvml"]["energy_joules"] is average["nvidia_smi"]["energy_joules"] is None
    assert average["nvml"]["reason"] == average["nvidia_smi"]["reason"] == "not_supported"
    assert average["relative_difference"] is None


def test_a_tool_that_ended_inside_the_window_has_no_energy():
    (device,) = compared(theirs(until_s=11.0))
    instant = device["quantities"]["power.draw.instant"]
    assert instant["nvidia_smi"]["energy_joules"] is None
    assert instant["nvidia_smi"]["reason"] == "no_sample_after"
    assert instant["nvml"]["reason"] is None


def test_a_gpu_that_the_container_does_not_have_is_not_compared():
    assert compared(theirs(uuid="GPU-2")) == []


def test_a_window_without_samples_has_no_rate():
    sensor = Sensor(GPU, Series((GPU,), (), 10.0))
    found = reading_of(sensor, "integrated_instant", 0.0, 1.0)
    assert (found["samples"], found["delivered_hz"], found["longest_gap_s"]) == (0, None, None)
    assert found["reason"] == "no_samples"


def test_nothing_is_compared_with_what_is_not_known():
    assert relative(None, 1.0) is relative(1.0, None) is None
    assert relative(110.0, 100.0) == pytest.approx(0.1)
