"""When a warm-up is over, on times that are given."""

from typing import Any

import pytest

from worker.warmup import Warmup
from worker.workload import Sampling, WarmupRules, Workload

ON_A_GPU = {"cap_s": 180.0, "first_wave_deadline_s": 900.0, "bound": 0.01}


def warmup(*, host_says: bool = True, window_s: float = 3.0, **changes: Any) -> Warmup:
    rules = WarmupRules(**(ON_A_GPU | changes))
    load = Workload("waves", 1, 64, ((1,),), Sampling(), window_s, 1.0, rules)
    return Warmup(load, emit=lambda _: None, host_steady=lambda: host_says)


def waves_until_over(warm: Warmup, *, first_wave_s: float, wave_s: float = 1.0) -> int:
    """Equal waves back to back after the first one; how many it took, the first one included."""
    start_s, end_s = 0.0, first_wave_s
    while not warm.add(start_s, end_s, tokens=64):
        start_s, end_s = end_s, end_s + wave_s
        assert warm.waves < 10_000
    return warm.waves


def test_three_minutes_of_compilation_use_up_nothing_of_the_cap() -> None:
    warm = warmup()
    assert waves_until_over(warm, first_wave_s=180.0) >= 1 + 3
    report = warm.report()
    assert not report["capped"]
    assert report["first_wave_s"] == pytest.approx(180.0)
    assert report["throughput"][-1] == pytest.approx(64.0)
    assert report["wave_ends_s"][:2] == pytest.approx([180.0, 181.0])


def test_the_compiling_wave_tells_nothing_of_the_length_of_a_pass() -> None:
    warm = warmup()
    waves_until_over(warm, first_wave_s=180.0, wave_s=2.0)
    assert warm.pass_time_s() == pytest.approx(2.0)
    assert warm.window_passes() == 3
    assert warm.window_s() == pytest.approx(6.0)


def test_a_longer_window_needs_a_longer_warm_up() -> None:
    assert waves_until_over(warmup(window_s=60.0), first_wave_s=1.0) == 1 + 30


def test_short_waves_go_on_for_the_least_time_after_the_first() -> None:
    short = {"window_s": 0.5, "minimum_s": 1.0}
    assert waves_until_over(warmup(**short), first_wave_s=0.125, wave_s=0.125) == 1 + 8


def test_the_least_time_holds_against_a_shorter_cap() -> None:
    warm = warmup(minimum_s=1.0, cap_s=0.5, host_says=False, await_host=True)
    assert waves_until_over(warm, first_wave_s=0.25, wave_s=0.25) == 1 + 4
    assert warm.report()["capped"]


def test_without_the_hosts_word_it_goes_on_to_the_cap() -> None:
    warm = warmup(await_host=True, host_says=False)
    assert waves_until_over(warm, first_wave_s=180.0) == 1 + 180
    assert not warm.passed
