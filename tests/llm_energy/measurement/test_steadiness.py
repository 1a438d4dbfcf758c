"""The judgement of a window after it, by the waves of its warm-up and its own."""

import random
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import pytest
from tests.llm_energy.make_results import MEASUREMENT, make_result
from tests.llm_energy.power.made_power import GPU, constant, series_of

from llm_energy.analysis.campaign_flags import with_campaign_flags
from llm_energy.campaign.identity import PROTOCOL_VERSION
from llm_energy.measurement.steadiness import judged, mean_powers
from llm_energy.power.accounting import account_energy
from llm_energy.power.sensor import Sensor
from llm_energy.results.parts import Phase, PowerSteadiness, Tokens
from llm_energy.results.result import read_result
from llm_energy.results.side_files import read_requests

EARLIER = Path(__file__).parents[1] / "protocol_2"
BEGAN_S = 1000.0
OUTPUT_TOKENS = 10
SETTINGS = {"batch_size": 2, "output_tokens": OUTPUT_TOKENS}


def measured(durations_s, *, window_waves, cap_s=180.0, prompts=2, mode="waves", began_s=BEGAN_S):
    """A result and its requests, from the durations of all waves of warm-up and window."""
    ends_s = [began_s, *(began_s + passed for passed in accumulate(durations_s))]
    warm = len(durations_s) - window_waves
    opened_s, closed_s = ends_s[warm], ends_s[-1]
    requests = []
    for number, (start, end) in enumerate(zip(ends_s[warm:], ends_s[warm + 1 :], strict=False)):
        times = [start + (end - start) * (k + 1) / OUTPUT_TOKENS for k in range(OUTPUT_TOKENS)]
        wave = number if mode == "waves" else None
        requests += 2 * [{"prompt": 0, "wave": wave, "submitted": start, "token_times": times}]
    result = make_result(settings=SETTINGS, protocol=3)
    tokens = 2 * OUTPUT_TOKENS
    warmup = result.warmup.model_copy(
        update={
            "waves": warm,
            "throughput_tokens_per_second": [tokens / d for d in durations_s[:warm]],
            "wave_ends_s": [end - began_s for end in ends_s[1 : warm + 1]],
        }
    )
    window = result.window.model_copy(
        update={"start_monotonic_s": opened_s, "end_monotonic_s": closed_s}
    )
    phases = [
        Phase(name=name, start_monotonic_s=start, end_monotonic_s=end)
        for name, start, end in (
            ("idle", began_s - 5.0, began_s),
            ("warmup", began_s, opened_s),
            ("window", opened_s, closed_s),
        )
    ]
    changes = {
        "warmup": warmup,
        "window": window,
        "phases": phases,
        "load_mode": mode,
        "spec": result.spec | {"measurement": MEASUREMENT | {"warmup_cap_s": cap_s}},
        "prompts": result.prompts.model_copy(update={"count": prompts}),
    }
    return result.model_copy(update=changes), requests


def steadily(count, *, noise=0.003, wave_s=1.0, seed=1):
    chance = random.Random(seed)
    return [wave_s * chance.gauss(1.0, noise) for _ in range(count)]


@pytest.mark.parametrize("mode", ["waves", "closed"])
def test_a_steady_window_is_steady(mode):
    found = judged(*measured(steadily(120), window_waves=30, mode=mode), None)
    assert found.steady
    assert (found.verdict, found.bound, found.time_constant_s) == ("steady", 0.01, 300.0)


@pytest.mark.parametrize("mode", ["waves", "closed"])
def test_a_step_inside_the_window_is_seen_after_it(mode):
    """The warm-up could not know of it; 6 % of half of the window are 3 %."""
    waves = steadily(105) + [1.06 * wave_s for wave_s in steadily(15)]
    found = judged(*measured(waves, window_waves=30, mode=mode), None)
    assert found.bound > 0.03
    assert judged(*measured(waves[:90], window_waves=0 + 30, mode=mode), None).bound < 0.02


def test_a_long_window_shows_the_approach_that_a_short_warm_up_could_not():
    """An approach of 10 % with 60 s, judged after a warm-up of 5 s and a window of 30 s."""
    waves = [1.0 / (1.0 - 0.1 * 0.9835**n) for n in range(35)]
    found = judged(*measured(waves, window_waves=30, cap_s=5.0), None)
    assert found.verdict == "drift_seen"
    assert found.bound > 0.02


def test_windows_of_few_waves_have_a_verdict():
    """Two waves of warm-up, of which the first may have compiled, and the least window."""
    found = judged(*measured([90.0, 61.0, 60.0, 60.5, 60.2], window_waves=3), None)
    assert found.verdict in ("steady", "not_steady")
    assert found.bound is not None
    short = judged(*measured([9.0, 6.1, 6.0, 6.05, 6.02], window_waves=3, cap_s=5.0), None)
    assert short.verdict in ("no_drift_seen", "undecided")
    assert short.bound is not None


def test_a_window_of_one_pass_over_many_prompts_has_a_verdict():
    """One wave of the warm-up has its like in the window: all are then compared as alike."""
    waves = steadily(18, noise=0.01)
    found = judged(*measured(waves, window_waves=16, prompts=32, cap_s=5.0), None)
    assert found.verdict in ("no_drift_seen", "undecided")


def test_waves_are_compared_with_those_of_the_same_prompts():
    """The window begins its pass anew, wherever the warm-up was in it."""
    lengths = [1.0, 1.6, 0.7]
    warm = [lengths[n % 3] * wave for n, wave in enumerate(steadily(50))]
    window = [lengths[n % 3] * wave for n, wave in enumerate(steadily(30, seed=2))]
    found = judged(*measured(warm + window, window_waves=30, prompts=6), None)
    assert found.coefficient_of_variation < 0.01
    assert found.verdict == "steady"


def test_without_a_warm_up_there_is_nothing_to_judge_by():
    found = judged(*measured([5.0, 1.0, 1.0, 1.0], window_waves=3), None)
    assert (found.verdict, found.bound, found.steady) == ("too_few_waves", None, False)


@pytest.mark.parametrize(
    "file", sorted(EARLIER.glob("measurements/**/*.json")), ids=lambda f: f.stem
)
def test_measurements_of_a_newcomer_on_a_calm_machine_are_not_flagged(file):
    """Waves that were measured in five seconds of warm-up before windows of 3 to 8."""
    result = read_result(file)
    settings = result.settings.resolved
    tokens = settings["batch_size"] * settings["output_tokens"]
    ends_s = accumulate(tokens / rate for rate in result.warmup.throughput_tokens_per_second)
    warmup = result.warmup.model_copy(update={"wave_ends_s": list(ends_s)})
    requests, _ = read_requests(EARLIER / result.side_files["requests"].path)
    again = judged(result.model_copy(update={"warmup": warmup}), requests, None)
    assert again.bound < 0.035
    changed = {"warmup": again, "protocol_version": PROTOCOL_VERSION}
    (kept,) = with_campaign_flags([result.model_copy(update=changed)], [], margin=0.02)
    assert "not_steady" not in [flag.code for flag in kept.flags]


def test_equal_waves_have_no_trend_and_a_short_cap_no_time_constant():
    found = judged(*measured([1.0] * 60, window_waves=30, cap_s=5.0), None)
    assert found.trend_interval == pytest.approx((0.0, 0.0), abs=1e-9)
    assert found.time_constant_s is None


def flowing(durations_s):
    """A window of load mode `closed` whose tokens come one by one, 20 in each of these times."""
    result, _ = measured([1.0] * 30 + durations_s, window_waves=len(durations_s), mode="closed")
    times, start = [], result.window.start_monotonic_s
    for duration_s in durations_s:
        times += [start + duration_s * (k + 1) / 20 for k in range(20)]
        start += duration_s
    request = {"prompt": 0, "wave": None, "submitted": BEGAN_S, "token_times": times}
    return judged(result, [request], None).coefficient_of_variation


def test_a_wave_of_flowing_tokens_ends_with_its_last_one():
    assert flowing([1.0] * 5) == pytest.approx(0.0, abs=1e-6)
    assert flowing([1.0] * 4 + [1.25]) == pytest.approx(0.2 / 33**0.5, rel=0.05)


def test_flowing_tokens_are_compared_whatever_their_prompts():
    durations_s = [1.0, 1.1] * 15 + [1.0] * 5
    found = judged(*measured(durations_s, window_waves=5, prompts=4, mode="closed"), None)
    assert found.coefficient_of_variation > 0.04


def test_an_edited_result_that_lacks_phases_or_time_has_a_verdict_all_the_same():
    result, requests = measured([1.0] * 10, window_waves=5)
    assert judged(result.model_copy(update={"phases": []}), requests, None).verdict != "steady"
    ends_s = [1.0, 2.0, 2.0, 3.0, 5.0]
    warmup = result.warmup.model_copy(update={"wave_ends_s": ends_s})
    again = judged(result.model_copy(update={"warmup": warmup}), requests, None)
    assert again.bound is not None


def with_power(watts):
    result, requests = measured(steadily(110), window_waves=30, began_s=20.0)
    series = series_of(watts, end=140.0)
    tokens = Tokens(input=1, output=1, requests=1)
    account = account_energy(series, result.phases, tokens, scope=GPU.scope)
    return result.model_copy(update={"energy": account.energy}), requests, series


def test_tokens_outside_of_the_window_are_no_part_of_it():
    result, requests = measured(steadily(60), window_waves=30, mode="closed")
    early = [
        {"prompt": 0, "wave": None, "submitted": 1.0, "token_times": [1000.0 + t / 9.0]}
        for t in range(200)
    ]
    assert judged(result, requests + early, None) == judged(result, requests, None)


def test_mean_powers_span_whole_waves_of_a_second_together():
    sensors = [Sensor(GPU, series_of(constant(500.0), end=20.0))]
    edges = [2.0 + 0.3 * number for number in range(21)]
    means = list(mean_powers(sensors, "counter", edges))
    assert len(means) == 5
    assert {round(mean.end_s - mean.start_s, 6) for mean in means} == {1.2}
    assert [mean.rate for mean in means] == pytest.approx([500.0] * 5, rel=0.01)


def test_waves_of_a_second_have_a_mean_power_each():
    sensors = [Sensor(GPU, series_of(constant(500.0), end=20.0))]
    assert len(list(mean_powers(sensors, "counter", [2.0, 3.0, 4.0]))) == 2


def test_power_is_judged_from_the_second_wave_of_the_warm_up_on():
    """Waves of a second from 20 s on: of 300 W up to 22 s, one wave is judged."""
    constantly = judged(*with_power(lambda t: 500.0 if t > 20.0 else 60.0)).power
    assert constantly.trend_interval == pytest.approx((0.0, 0.0), abs=1e-3)
    assert constantly.time_constant_s == 300.0
    later = judged(*with_power(lambda t: 500.0 if t > 22.0 else 300.0)).power
    assert sum(later.trend_interval) / 2 > 0.01


def test_devices_that_do_not_count_are_not_judged():
    result, requests, series = with_power(lambda t: 500.0 if t > 20.0 else 60.0)
    devices = [device.model_copy(update={"counted": False}) for device in result.energy.devices]
    idle = result.model_copy(
        update={"energy": result.energy.model_copy(update={"devices": devices})}
    )
    assert judged(idle, requests, series).power.verdict == "too_few_waves"


def test_power_is_judged_over_warm_up_and_window_too():
    steady = judged(*with_power(lambda t: 500.0 if t > 20.0 else 60.0)).power
    assert (steady.verdict, steady.bound) == ("steady", 0.01)
    rising = judged(*with_power(lambda t: 300.0 + 2.0 * t if t > 20.0 else 60.0)).power
    assert rising.bound > 0.05
    assert rising.verdict == "not_steady"


def test_the_temperature_that_was_watched_stays():
    result, requests, series = with_power(lambda t: 500.0 if t > 20.0 else 60.0)
    watched = PowerSteadiness(verdict="not_steady", span_s=30.0, temperature_range_celsius=1.0)
    warmup = result.warmup.model_copy(update={"power": watched})
    power = judged(result.model_copy(update={"warmup": warmup}), requests, series).power
    assert (power.verdict, power.span_s, power.temperature_range_celsius) == ("steady", 30.0, 1.0)
    none = replace(series, readings=())
    lost = result.energy.model_copy(update={"energy_joules": None})
    unread = result.model_copy(update={"warmup": warmup, "energy": lost})
    assert judged(unread, requests, none).power == watched
