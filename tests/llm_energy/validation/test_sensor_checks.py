"""The kit checks sensors: nothing fails on a board that is well, and each fault has its
line."""

import random
from dataclasses import replace

import pytest

from llm_energy.power.meter import QUANTITIES, Device, Reading, State
from llm_energy.power.sensor import Sensor
from llm_energy.power.series import Series
from llm_energy.validation.gpu_sensors import Watched
from llm_energy.validation.sensor_checks import sensor_lines

GPU = Device(
    id="GPU-1", model="Made GPU", scope="gpu_board", power_limit_watts=700.0, facts={"driver": "1"}
)
WINDOWS_S = (2.0, 5.0)


def series(watts, *, device=GPU, gain=1.0, duration_s=20.0, read_s=0.001, processes=(), **without):
    """Read at 20 Hz; power scatters by 0.1 %.

    Args:
        watts: power at a time.
        without: quantities that are not there, with the reason.
    """
    chance, readings, counter = random.Random(1), [], 0.0
    for n in range(round(20 * duration_s) + 1):
        power = watts(n / 20) * chance.gauss(1.0, 0.001)
        counter += gain * watts(n / 20) / 20
        values = dict.fromkeys(QUANTITIES, power) | {"energy_counter_joules": counter}
        values |= dict.fromkeys(without)
        state = State(process_ids=processes)
        timed = {"monotonic_s": n / 20, "wall_s": 1.8e9 + n / 20, "read_s": read_s}
        readings.append(
            Reading(device=device.id, **timed, **values, state=state, unavailable=without)
        )
    return Series((device,), tuple(readings), 20.0)


def idle(**changes):
    return series(lambda _: 100.0, **changes)


def loaded(**changes):
    return series(lambda _: 600.0, **changes)


def verdicts(at_rest=None, under_load=None, *, device=GPU):
    seen = Watched(Sensor(device, at_rest or idle()), Sensor(device, under_load or loaded()))
    return {line.subject: (line.verdict, line.text) for line in sensor_lines(seen, WINDOWS_S)}


def ratio(text):
    return float(text.split()[0])


def failures(*given, **changes):
    return {
        subject: text
        for subject, (verdict, text) in verdicts(*given, **changes).items()
        if verdict == "FAIL"
    }


def test_a_board_that_is_well_passes_every_line():
    found = verdicts()
    assert {verdict for verdict, _ in found.values()} == {"PASS", "NOTE"}
    assert found["load above rest"][1].startswith("500.0 W: 600.0 W under load, 100.0 W at rest")
    assert ratio(found["counter / instant under load"][1]) == pytest.approx(1.0, abs=0.001)
    assert "10 windows" in found["A/A windows of 2 s"][1]
    assert "20.0 of 20 Hz delivered" in found["one reading"][1]
    assert found["energy counter"] == ("PASS", "changes every 50 ms")


def test_a_board_without_a_counter_fails_and_is_watched_by_instant_power():
    gone = {"energy_counter_joules": "not_supported"}
    found = failures(idle(**gone), loaded(**gone))
    assert set(found) == {
        "energy counter",
        "counter rises",
        "counter / instant at rest",
        "counter / instant under load",
    }
    assert "does not have the sensor" in found["energy counter"]
    text = verdicts(idle(**gone), loaded(**gone))["A/A windows of 2 s"][1]
    assert "integrated_instant" in text


def test_no_average_power_is_only_noted():
    gone = {"average_power_watts": "not_supported"}
    found = verdicts(idle(**gone), loaded(**gone))
    assert found["average power"][0] == "NOTE"
    assert not failures(idle(**gone), loaded(**gone))


def test_a_counter_that_stands_still_fails():
    found = failures(None, loaded(gain=0.0))
    assert found["energy counter"] == "is there, and never changed under load"
    assert "counter_stuck" in found["counter / instant under load"]
    assert "10 windows" in found["A/A windows of 2 s"]


def test_a_counter_that_falls_fails():
    good = loaded()
    middle = len(good.readings) // 2
    reset = [
        replace(r, energy_counter_joules=r.energy_counter_joules - 5000.0) if n > middle else r
        for n, r in enumerate(good.readings)
    ]
    found = failures(None, replace(good, readings=tuple(reset)))
    assert "1 falls" in found["counter rises"]


@pytest.mark.parametrize("gain", [0.84, 1.06])
def test_a_counter_with_a_gain_fails_by_its_ratio_alone(gain):
    found = failures(idle(gain=gain), loaded(gain=gain))
    assert set(found) == {"counter / instant at rest", "counter / instant under load"}
    assert ratio(found["counter / instant under load"]) == pytest.approx(gain, abs=0.001)


def test_a_load_that_does_not_load_fails():
    assert set(failures(None, series(lambda _: 130.0))) == {"load above rest"}


def test_power_that_cannot_be_fails():
    over = failures(None, series(lambda _: 800.0))
    assert set(over) == {"possible power"}
    assert "above the enforced limit" in over["possible power"]
    assert set(failures(None, series(lambda _: 60.0))) == {"possible power", "load above rest"}


def test_somebody_else_on_the_board_fails():
    assert failures(idle(processes=(4711,))) == {"nobody else": "processes 4711 compute on it"}


def test_who_computes_may_be_unknown():
    assert verdicts(idle(processes=None))["nobody else"][0] == "NOTE"


def test_a_board_that_is_split_fails():
    split = replace(GPU, refusal="mig_enabled")
    at_rest, under_load = idle(device=split), loaded(device=split)
    assert "MIG" in failures(at_rest, under_load, device=split)["whole board"]


def test_readings_that_take_long_fail():
    assert set(failures(None, loaded(read_s=0.06))) == {"one reading"}


def test_equal_windows_that_differ_fail():
    found = failures(None, series(lambda t: 600.0 + 5.0 * t))
    assert set(found) == {"A/A windows of 2 s", "A/A windows of 5 s"}


def test_too_few_windows_are_no_spread():
    found = failures(None, loaded(duration_s=9.0))
    assert found == {"A/A windows of 5 s": "1 of 1 windows have an energy"}


def test_a_simulated_board_is_called_so():
    simulated = replace(GPU, simulated=True)
    seen = verdicts(idle(device=simulated), loaded(device=simulated), device=simulated)
    assert "ITS SENSORS ARE SIMULATED" in seen["GPU"][1]
