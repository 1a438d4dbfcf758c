"""An energy counter follows the power of a GPU or of the module around it."""

import pytest
from tests.llm_energy.power.made_power import constant, samples, series_of

from llm_energy.power.accounting import account_energy
from llm_energy.power.meter import Reading
from llm_energy.power.module_counter import counts_module
from llm_energy.power.series import Samples, Series
from llm_energy.results.parts import Phase

NOTHING = Samples((), ())


def power(watts):
    return samples(constant(watts), start=0.0, end=3.0, rate=10.0)


def counter(watts):
    return samples(lambda t: 5000.0 + watts * t, start=0.0, end=3.0, rate=10.0)


@pytest.mark.parametrize(
    ("counted_watts", "expected"), [(300.0, False), (320.0, False), (430.0, True), (450.0, True)]
)
def test_it_follows_the_one_that_is_nearer(counted_watts, expected):
    assert counts_module(counter(counted_watts), power(300.0), power(450.0)) is expected


def test_a_module_that_draws_no_more_than_its_gpu_is_none():
    assert not counts_module(counter(400.0), power(300.0), power(320.0))


def test_without_power_of_the_gpu_the_module_is_followed_closely():
    assert counts_module(counter(440.0), NOTHING, power(450.0))
    assert not counts_module(counter(300.0), NOTHING, power(450.0))


def test_two_readings_show_what_a_counter_counts():
    two = Samples((100.0, 101.0), (5000.0, 5440.0))
    assert counts_module(two, NOTHING, power(450.0))


def test_without_power_of_a_module_there_is_none():
    assert not counts_module(counter(900.0), power(300.0), NOTHING)


def on_a_module(series: Series, rest_watts: float) -> Series:
    """The series of a superchip: the counter holds the rest of its module too."""

    def with_module(reading: Reading) -> Reading:
        known = vars(reading) | {
            "energy_counter_joules": reading.energy_counter_joules
            + rest_watts * reading.monotonic_s,
            "module_power_watts": reading.instant_power_watts + rest_watts,
        }
        return Reading(**known)

    return Series(series.devices, tuple(map(with_module, series.readings)), series.rate_hz)


class TestTheEnergyOfASuperchip:
    SERIES = on_a_module(series_of(constant(300.0)), 150.0)
    WINDOW = (Phase(name="window", start_monotonic_s=10.0, end_monotonic_s=20.0),)

    def test_is_null_by_the_counter(self):
        energy = account_energy(self.SERIES, self.WINDOW, None, method="counter").energy
        assert (energy.energy_joules, energy.reason) == (None, "counter_of_module")
        assert energy.devices[0].counter_over_instant is None

    def test_is_that_of_its_gpu_by_instant_power(self):
        account = account_energy(self.SERIES, self.WINDOW, None, method="integrated_instant")
        assert account.energy.energy_joules == pytest.approx(3000.0)
        assert account.energy.scope == "gpu_board"
