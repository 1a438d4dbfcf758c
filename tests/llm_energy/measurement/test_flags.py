"""Which flags a measurement gets, and what each says of what was seen."""

import pytest

from llm_energy.measurement import flags
from llm_energy.results.codes import FLAGS
from llm_energy.results.parts import Drift, Warmup

UNTESTED = {"verdict": "too_few_waves", "trend_interval": None, "bound": None}
TESTED = {
    "verdict": "not_steady",
    "trend_interval": (-0.012, 0.051),
    "bound": 0.06,
    "coefficient_of_variation": 0.08,
}


def warmup(*, capped, **changes):
    plain = {
        "steady": not capped,
        "capped": capped,
        "verdict": "steady",
        "waves": 9,
        "duration_s": 5.0,
        "first_wave_s": 0.5,
        "throughput_tokens_per_second": [60.0] * 9,
        "coefficient_of_variation": None,
        "trend_interval": (-0.004, 0.006),
        "bound": 0.01,
    }
    return Warmup.model_validate(plain | changes)


def flagged(*, warm=None, drift=None, duration_s=3.0):
    found = flags.of_measurement(
        warmup=warm or warmup(capped=False),
        drift=Drift(throughput_relative=drift, power_relative=None),
        duration_s=duration_s,
        minimum_duration_s=3.0,
    )
    assert all(flag.code in FLAGS for flag in found)
    return [(flag.code, flag.message) for flag in found]


def test_a_steady_measurement_has_no_flag():
    assert flagged(drift=0.03) == []


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        (UNTESTED, "9 waves: too few, or too short, to test"),
        (TESTED, "9 waves: bias of the window up to 6.0%, trend -1.2% to +5.1%; variation 8.0%"),
    ],
)
def test_a_capped_warmup_says_what_its_test_saw(seen, message):
    assert flagged(warm=warmup(capped=True, **seen)) == [("warmup_capped", message)]


def test_drift_beyond_the_limit_and_a_short_window_are_flagged():
    assert flagged(drift=-0.031, duration_s=2.5) == [
        ("throughput_drift", "-3.1% (limit ±3%)"),
        ("short_window", "2.50 s of 3.00 s"),
    ]
