"""Two sensors of one device: what is its nature, and what is one result's."""

import make_results
import pytest

from llm_energy.power.ratios import device_ratios
from llm_energy.results import DeviceEnergy


def result(cycle, *devices):
    plain = make_results.make_result(cycle=cycle, metered=True)
    return plain.model_copy(
        update={"energy": plain.energy.model_copy(update={"devices": list(devices)})}
    )


def device(ratio, *, name="GPU-1", update_period_s=0.02, instant=1000.0):
    counter = None if ratio is None else ratio * instant
    return DeviceEnergy(
        device=name,
        scope="gpu_board",
        energy_joules=counter,
        reason=None,
        counter_joules=counter,
        integrated_instant_joules=instant,
        integrated_average_joules=None,
        update_period_s=update_period_s,
    )


def test_a_stable_offset_is_one_warning_and_no_results_flag():
    results = [result(cycle, device(0.84)) for cycle in (1, 2, 3)]
    (found,) = device_ratios(results)
    assert found.median_ratio == pytest.approx(0.84)
    assert (found.count, found.warning, found.deviating) == (3, True, ())


def test_sensors_that_agree_are_no_warning():
    (found,) = device_ratios([result(1, device(1.02)), result(2, device(1.02))])
    assert not found.warning


def test_a_result_that_leaves_its_devices_median_is_named():
    results = [result(1, device(1.0)), result(2, device(1.0)), result(3, device(1.05))]
    (found,) = device_ratios(results)
    assert found.deviating == (results[2],)


def test_a_slow_sensor_may_leave_it_further():
    # Windows of make_results last over 3 s: 2 · 0.1 / 3 = 6 %.
    results = [result(cycle, device(1.0, update_period_s=0.1)) for cycle in (1, 2)]
    results.append(result(3, device(1.05, update_period_s=0.1)))
    assert device_ratios(results)[0].deviating == ()


def test_each_device_has_its_own_median():
    results = [result(cycle, device(0.8), device(1.1, name="GPU-2")) for cycle in (1, 2)]
    medians = {found.device: found.median_ratio for found in device_ratios(results)}
    assert medians == pytest.approx({"GPU-1": 0.8, "GPU-2": 1.1})


def test_a_device_with_one_sensor_has_no_ratio():
    assert device_ratios([result(1, device(None)), result(2, device(1.0, instant=0.0))]) == []
