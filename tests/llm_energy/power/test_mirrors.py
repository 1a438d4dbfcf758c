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

    def reset(watts):
        return lambda t: watts * (t if t <= 0.5 else t - 0.5)

    readings = []
    for number in range(101):
        for zone, watts in ((DIE, 68.0), (OTHER_DIE, 30.0)):
            at = number / 10
            readings.append(reading(at, device=zone.id, energy_counter_joules=reset(watts)(at)))
    found = energy(Series((DIE, OTHER_DIE), tuple(readings), 10.0))
    assert found.mean_power_watts == pytest.approx(98.0)


def test_dies_that_jumped_together_are_added():
    """20 kJ within 10 ms are 2 MW, with which counters of 2 kJ apart would agree."""
    readings = [
        reading(
            number / 100, device=zone.id, energy_counter_joules=watts * number / 100 + jumped_joules
        )
        for number in range(101)
        for zone, watts in ((DIE, 68.0), (OTHER_DIE, 30.0))
        for jumped_joules in [20_000.0 if number > 2 else 0.0]
    ]
    assert mirrors(Series((DIE, OTHER_DIE), tuple(readings), 100.0)) == {}


@pytest.mark.parametrize(("ahead_joules", "one"), [(0.0, True), (0.0005, False)])
def test_counters_that_jump_all_the_time_must_agree_exactly(ahead_joules, one):
    """No power of theirs is possible, which an update could be late by."""
    dies = [
        dataclasses.replace(die, counter_range_joules=None, power_bound_watts=500.0)
        for die in (DIE, OTHER_DIE)
    ]
    readings = tuple(
        reading(number / 10, device=die.id, energy_counter_joules=20_000.0 * number + ahead)
        for number in range(5)
        for die, ahead in zip(dies, (0.0, ahead_joules), strict=True)
    )
    found = mirrors(Series(tuple(dies), readings, 10.0))
    assert found == ({"intel-rapl:1": "intel-rapl:0"} if one else {})


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


@pytest.mark.parametrize(
    ("update_s", "joules", "one"),
    [
        (0.125, -8.0, True),
        (0.125, -8.1, False),
        (0.125, 8.0, True),
        (0.125, 8.1, False),
        (None, 0.06, True),
        (None, 0.07, False),
    ],
)
def test_the_zones_of_one_counter_may_be_an_update_apart(update_s, joules, one):
    """64 W: 8 J in an eighth of a second, and 0.064 J in the millisecond of RAPL."""
    dies = [
        dataclasses.replace(die, counter_update_s=update_s, counter_range_joules=None)
        for die in (DIE, OTHER_DIE)
    ]
    readings = tuple(
        reading(float(second), device=die.id, energy_counter_joules=64.0 * second + ahead)
        for second in range(10)
        for die, ahead in zip(dies, (0.0, joules), strict=True)
    )
    found = mirrors(Series(tuple(dies), readings, 1.0))
    assert found == ({"intel-rapl:1": "intel-rapl:0"} if one else {})


def test_three_readings_suffice_and_each_between_the_first_and_the_last_counts():
    def read(first, second):
        readings = [
            reading(time_s, device=die.id, energy_counter_joules=joules)
            for die, points in ((DIE, first), (OTHER_DIE, second))
            for time_s, joules in points
        ]
        return Series((DIE, OTHER_DIE), tuple(readings), 1.0)

    three = [(0.0, 10.0), (1.0, 78.0), (2.0, 146.0)]
    assert mirrors(read(three, three)) == {"intel-rapl:1": "intel-rapl:0"}
    assert mirrors(read(three, three[:2])) == {}
    late = [(time_s + 0.0002, joules) for time_s, joules in three]
    assert mirrors(read(three, late)) == {}  # the last lies behind
    assert mirrors(read([*three, (3.0, 146.0)], late)) == {"intel-rapl:1": "intel-rapl:0"}


def test_the_highest_power_may_be_that_of_the_step_in_which_the_counter_wraps():
    """100 W for a second, and 1 W around it: the zones may be 0.1 J apart."""
    points = [(0.0, 0.0), (1.0, 1.0), (2.0, 101.0), (3.0, 102.0)]
    readings = tuple(
        reading(
            time_s, device=die.id, energy_counter_joules=(RANGE - 3.0 + joules - behind) % RANGE
        )
        for time_s, joules in points
        for die, behind in ((DIE, 0.0), (OTHER_DIE, 0.05))
    )
    assert mirrors(Series((DIE, OTHER_DIE), readings, 1.0)) == {"intel-rapl:1": "intel-rapl:0"}
