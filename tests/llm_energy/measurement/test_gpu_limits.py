"""GPUs that did not work at what a campaign set are flagged."""

from types import SimpleNamespace

import pytest

from llm_energy.measurement.gpu_limits import flags_of
from llm_energy.results.energy import DeviceEnergy, DeviceState
from llm_energy.results.parts import GpuSet

SET = GpuSet(
    power_limit_watts=None, sm_clock_mhz=None, memory_clock_mhz=None, found_power_limit_watts=650.0
)


def flags(done, *, limit_watts=700.0, reasons=(), **state):
    plain = dict.fromkeys(DeviceState.model_fields) | {"performance_states": [0]}
    seen = DeviceState(**plain | {"throttle_reasons": list(reasons)} | state)
    device = dict.fromkeys(DeviceEnergy.model_fields) | {
        "device": "GPU-1",
        "scope": "gpu_board",
        "counted": True,
        "power_limit_watts": limit_watts,
        "state": seen,
    }
    energy = SimpleNamespace(devices=[DeviceEnergy(**device)])
    observed = SimpleNamespace(gpus_set={"GPU-1": SET.model_copy(update=done)})
    found = list(flags_of(observed, energy))
    assert {flag.code for flag in found} <= {"gpu_set_otherwise"}
    return [flag.message for flag in found]


@pytest.mark.parametrize(
    ("lowest_watts", "highest_watts", "expected"),
    [
        (350.0, 350.0, []),
        (349.8, 350.2, []),
        (300.0, 350.0, ["GPU-1: 300 W instead of 350 W"]),  # others lowered it in the window
        (300.0, 300.0, ["GPU-1: 300 W instead of 350 W"]),
        (350.0, 500.0, ["GPU-1: 500 W instead of 350 W"]),
    ],
)
def test_another_limit_in_the_window_is_flagged(lowest_watts, highest_watts, expected):
    done = {"power_limit_watts": 350.0}
    found = flags(done, limit_watts=highest_watts, power_limit_min_watts=lowest_watts)
    assert found == expected
    assert flags({}, limit_watts=highest_watts, power_limit_min_watts=lowest_watts) == []


@pytest.mark.parametrize("name", ["sm", "memory"])
@pytest.mark.parametrize(
    ("least", "mean_mhz", "capped", "expected"),
    [
        (None, 1500.0, False, None),
        (None, 1480.0, False, None),
        (None, 1400.0, True, None),
        (None, 1400.0, False, "clock 1400 MHz, locked to 1500 MHz"),
        (None, 1600.0, True, "clock 1600 MHz, locked to 1500 MHz"),
        (900, 1400.0, False, None),
        (900, 800.0, False, "clock 800 MHz, locked to 900 to 1500 MHz"),
        (900, 1600.0, False, "clock 1600 MHz, locked to 900 to 1500 MHz"),
        (None, None, False, None),
    ],
)
def test_a_clock_outside_of_its_lock_is_flagged(name, least, mean_mhz, capped, expected):
    found = flags(
        {f"{name}_clock_mhz": 1500, f"least_{name}_clock_mhz": least},
        reasons=["software_power_cap"] if capped else (),
        **{f"{name}_clock_mean_mhz": mean_mhz},
    )
    shown = {"sm": "SM", "memory": "memory"}[name]
    assert found == ([f"GPU-1: mean {shown} {expected}"] if expected else [])
