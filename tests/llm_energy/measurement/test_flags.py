"""Which flags a measurement gets, and what each says of what was seen."""

from llm_energy.measurement import flags
from llm_energy.results.codes import FLAGS
from llm_energy.results.parts import Drift


def flagged(*, drift=None, scatter=None, duration_s=3.0):
    found = flags.of_measurement(
        drift=Drift(
            throughput_relative=drift, power_relative=None, throughput_scatter_limit=scatter
        ),
        duration_s=duration_s,
        minimum_duration_s=3.0,
    )
    assert all(flag.code in FLAGS for flag in found)
    return [(flag.code, flag.message) for flag in found]


def test_a_steady_measurement_has_no_flag():
    assert flagged(drift=0.03) == []


def test_drift_beyond_the_limit_and_a_short_window_are_flagged():
    assert flagged(drift=-0.031, duration_s=2.5) == [
        ("throughput_drift", "-3.1% (limit ±3%)"),
        ("short_window", "2.50 s of 3.00 s"),
    ]


def test_a_change_that_scatter_explains_is_no_drift():
    assert flagged(drift=0.08, scatter=0.081) == []
    assert flagged(drift=0.08, scatter=0.04) == [
        ("throughput_drift", "+8.0% (limit ±3%, scatter explains ±4.0%)")
    ]
    assert flagged(drift=0.029, scatter=0.001) == []


def test_drift_of_power_is_a_flag_of_its_own():
    drift = Drift(throughput_relative=None, power_relative=0.05, power_scatter_limit=0.01)
    (flag,) = flags.of_measurement(drift=drift, duration_s=3.0, minimum_duration_s=3.0)
    assert (flag.code, flag.message) == (
        "power_drift",
        "+5.0% (limit ±3%, scatter explains ±1.0%)",
    )
