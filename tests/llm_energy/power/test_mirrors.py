"""Dies that repeat one socket's counter are one sensor; two sensors never are."""

import dataclasses
import math

import pytest
from tests.llm_energy.power.made_power import phases, reading

from llm_energy.power.accounting import account_energy
from llm_energy.power.meter import Device
from llm_energy.power.mirrors import mirrors
from llm_energy.power.series import Series
from llm_energy.results.parts import Tokens

RANGE = 65532.610987
DIE = Device(
    id="intel-rapl:0",
    label="package-0-die-0",
    model="Made CPU",
    scope="cpu_package",
    counter_range_joules=RANGE,
    counter_update_s=0.001,
)
OTHER_DIE = dataclasses.replace(DIE, id="intel-rapl:1", label="package-0-die-1")
PHASES = phases(window=(1.0, 9.0))


def counted(time_s, watts=68.0, since=60_000.0):
    return (since + watts * math.floor(time_s / 0.001) * 0.001) % RANGE


def series_of(first, second, joules):
    """Two zones that one thread reads in turn; `joules` is the second one's counter."""
    readings = []
    for number in range(101):
        at = number / 10
        readings.append(reading(at, device=first.id, energy_counter_joules=counted(at)))
        late = at + (0.08 if number == 50 else 0.0002)
        readings.append(reading(late, device=second.id, energy_counter_joules=joules(late)))
    return Series((first, second), tuple(readings), 10.0)


def energy(series):
    tokens = Tokens(input=10, output=100, requests=1)
    return account_energy(series, PHASES, tokens, scope="cpu_package").energy


def test_two_dies_with_the_counter_of_their_socket_count_once():
    found = energy(series_of(DIE, OTHER_DIE, counted))
    assert found.mean_power_watts == pytest.approx(68.0)
    first, second = found.devices
    assert (first.counted, first.mirror_of) == (True, None)
    assert (second.counted, second.mirror_of) == (False, "intel-rapl:0")
    assert second.label == "package-0-die-1"


def test_a_socket_whose_counter_wraps_is_still_one():
    joules = lambda t: counted(t, since=RANGE - 300.0)  # noqa: E731
    readings = []
    for number in range(101):
        for zone, late in ((DIE, 0.0), (OTHER_DIE, 0.0002)):
            at = number / 10 + late
            readings.append(reading(at, device=zone.id, energy_counter_joules=joules(at)))
    series = Series((DIE, OTHER_DIE), tuple(readings), 10.0)
    assert mirrors(series) == {"intel-rapl:1": "intel-rapl:0"}


@pytest.mark.parametrize(
    "joules",
    [
        lambda t: counted(t, since=60_010.0),  # the same power with another past
        lambda t: counted(t, watts=70.0),  # the same past with another power
    ],
)
def test_dies_with_counters_of_their_own_are_added(joules):
    series = series_of(DIE, OTHER_DIE, joules)
    assert mirrors(series) == {}
    assert energy(series).mean_power_watts == pytest.approx(136.0, abs=2.1)


def test_two_zones_of_one_name_with_counters_of_their_own_are_added():
    first, second = (dataclasses.replace(die, label="package-0") for die in (DIE, OTHER_DIE))
    found = energy(series_of(first, second, lambda t: counted(t, watts=30.0, since=0.0)))
    assert found.mean_power_watts == pytest.approx(98.0)


def test_dies_that_were_reset_together_are_added():
    """A reset taken for a wrap of 655 kW would let any two counters agree."""
    series = series_of(DIE, OTHER_DIE, lambda t: counted(t, watts=30.0))
    readings = tuple(
        dataclasses.replace(
            r, energy_counter_joules=(68.0 if r.device == DIE.id else 30.0) * (r.monotonic_s - 0.5)
        )
        if r.monotonic_s > 0.5
        else r
        for r in series.readings
    )
    found = energy(dataclasses.replace(series, readings=readings))
    assert found.mean_power_watts == pytest.approx(98.0)


def test_two_sockets_are_never_one():
    socket = dataclasses.replace(OTHER_DIE, label="package-1-die-0")
    assert mirrors(series_of(DIE, socket, counted)) == {}


def test_counters_that_do_not_move_are_no_mirrors():
    readings = tuple(
        reading(t / 10, device=zone.id, energy_counter_joules=5.0)
        for t in range(50)
        for zone in (DIE, OTHER_DIE)
    )
    assert mirrors(Series((DIE, OTHER_DIE), readings, 10.0)) == {}
