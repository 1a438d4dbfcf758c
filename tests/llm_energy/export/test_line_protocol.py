"""Points of a measurement: labels, times and numbers as servers get them."""

import dataclasses

import pytest
from tests.llm_energy.export.made_campaign import columns_of, make_exported
from tests.llm_energy.power.made_power import GPU, reading

from llm_energy.export.channels import Clock, channels, measured
from llm_energy.export.line_protocol import lines, power_lines, stamped, tags
from llm_energy.power.meter import Stamp, State
from llm_energy.power.series import Series

CLOCK = Clock(1_800_000_000 * 10**9)


def test_signs_that_end_a_tag_are_escaped_and_tags_stand_in_order():
    assert tags({"b": "1, 2=3", "a": "x\ny\\", "empty": ""}) == r"a=x\ y,b=1\,\ 2\=3"


def test_each_quantity_has_its_own_time(tmp_path):
    stamps = {"instant_power_watts": Stamp(0.5000000004, 0.0)}
    taken = reading(0.5, energy_counter_joules=12.5, instant_power_watts=600, stamps=stamps)
    states = reading(1.5, state=State(temperature_celsius=50, throttle_reasons=4))
    series = columns_of(tmp_path, Series((GPU,), (taken, states), 1.0))
    found = list(power_lines(series, {"cycle": "2"}, CLOCK))
    device = r"cycle=2,device=GPU-1,model=Made\ GPU,scope=gpu_board,simulated=false"
    assert found == [
        f"power,{device} energy_counter_joules=12.5 1800000000500000000",
        f"power,{device} instant_power_watts=600.0 1800000000500000000",
        f"power,{device} temperature_celsius=50.0 1800000001500000000",
        f"power,{device} throttle_reasons=4.0 1800000001500000000",
    ]


def test_counters_are_without_wraps_and_no_point_is_no_number(tmp_path):
    device = dataclasses.replace(GPU, counter_range_joules=100.0)
    readings = tuple(
        reading(0.1 * n, energy_counter_joules=value, instant_power_watts=watts)
        for n, (value, watts) in enumerate(((80.0, 150.0), (95.0, float("nan")), (10.0, 151.0)))
    )
    counter, power = channels(columns_of(tmp_path, Series((device,), readings, 10.0)))
    assert counter.values.tolist() == [80.0, 95.0, 110.0]
    assert power.values.tolist() == [150.0, 151.0]


def test_of_one_millisecond_the_last_value_counts(tmp_path):
    times = (0.0101, 0.0104, 0.0106, 0.0121)
    readings = tuple(
        reading(time_s, energy_counter_joules=float(n)) for n, time_s in enumerate(times)
    )
    (channel,) = channels(columns_of(tmp_path, Series((GPU,), readings, 10.0)))
    start = 1_800_000_000_000
    assert list(stamped(channel, CLOCK, 10**6)) == [
        (start + 10, 1.0),
        (start + 11, 2.0),
        (start + 12, 3.0),
    ]
    assert len(list(stamped(channel, CLOCK, 1))) == 4


def test_a_measurement_ends_with_its_result_which_has_no_number_for_what_is_not_known(tmp_path):
    made = make_exported(tmp_path)
    found = {each.result.cycle: list(lines(each)) for each in measured(tmp_path)}
    assert sorted(found) == [1, 2, 3]
    names = [line.split(",", 1)[0] for line in found[1]]
    assert names == sorted(names[:-6]) + ["phases"] * 5 + ["results"]
    assert f"energy_joules={made[0].energy.energy_joules}," in found[1][-1]
    assert "energy_joules" not in found[3][-1]
    assert ",reason=no_meter,spec=" in found[3][-1]
    assert not any(line.startswith("results") for line in found[1][:-1])


def test_a_clock_that_is_set_moves_no_later_time():
    clock = Clock.of(100.0, 1_800_000_000.25)
    assert clock.wall_ns(101.000000001) - clock.wall_ns(100.0) == pytest.approx(10**9 + 1, abs=1)
