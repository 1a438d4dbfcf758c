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


@pytest.mark.parametrize(
    ("mode", "least_s", "passes", "window_s"),
    [
        ("waves", 7.0, 3, 9.0),
        ("waves", 1.0, 2, 6.0),
        ("closed", 7.0, 3, 7.0),
        ("closed", 1.0, 2, 4.5),
    ],
)
def test_the_window_follows_from_the_fastest_pass_of_several_waves(
    mode: str, least_s: float, passes: int, window_s: float
) -> None:
    """Two prompts in turn: 1 s and 2 s are their fastest; three waves at least."""
    rules = WarmupRules(**ON_A_GPU)
    load = Workload(mode, 1, 64, ((1,), (2,)), Sampling(), least_s, 1.0, rules)
    events: list[Any] = []
    warm = Warmup(load, emit=events.append, host_steady=bool)
    durations_s = [50.0, 2.0, 1.0, 3.0, 1.5]
    pass_times_s = []
    for number, duration_s in enumerate(durations_s):
        start_s = 10.0 + sum(durations_s[:number])
        warm.add(start_s, start_s + duration_s, tokens=64)
        pass_times_s.append(warm.pass_time_s())
    assert pass_times_s == [100.0, 4.0, 3.0, 3.0, 3.0]
    assert (warm.window_passes(), warm.window_s()) == (passes, window_s)
    report = warm.report()
    assert (report["start"], report["end"], report["first_wave_s"]) == (10.0, 67.5, 50.0)
    assert report["wave_ends_s"] == [50.0, 52.0, 53.0, 56.0, 57.5]
    assert not report["capped"]
    assert events[1] == {"event": "wave", "t0": 60.0, "t1": 62.0, "tokens": 64}


def test_prompts_of_different_lengths_do_not_lengthen_the_warm_up() -> None:
    rules = WarmupRules(**ON_A_GPU)
    load = Workload("waves", 1, 64, ((1,), (2,)), Sampling(), 3.0, 1.0, rules)
    warm = Warmup(load, emit=lambda _: None, host_steady=bool)
    start_s = 0.0
    while not warm.add(start_s, start_s + 1.0 + warm.waves % 2, tokens=64):
        start_s += 1.0 + (warm.waves - 1) % 2
    assert warm.passed
    assert warm.waves <= 12  # with their lengths in its scatter it goes on to the cap


def test_a_longer_window_needs_a_longer_warm_up() -> None:
    assert waves_until_over(warmup(window_s=60.0), first_wave_s=1.0) == 1 + 30


def test_waves_are_judged_again_after_a_tenth_more_time() -> None:
    """Half of the window is 22 s: 21 s are too few, and 23.1 s come next."""
    assert waves_until_over(warmup(window_s=44.0), first_wave_s=1.0) == 1 + 24


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


def test_prompts_of_other_lengths_do_not_prolong_a_warm_up() -> None:
    """Every second wave takes twice as long, by its prompts."""
    rules = WarmupRules(**ON_A_GPU)
    load = Workload("waves", 1, 64, ((1,), (2, 3)), Sampling(), 3.0, 1.0, rules)
    warm = Warmup(load, emit=lambda _: None, host_steady=lambda: True)
    end_s = 0.0
    while not warm.add(end_s, end_s := end_s + 1.0 + warm.waves % 2, tokens=64):
        assert warm.waves < 100
    assert not warm.report()["capped"]
    assert warm.waves < 20
