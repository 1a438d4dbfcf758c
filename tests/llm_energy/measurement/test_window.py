"""Events count by their time stamp: those inside the window, and no others."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.measurement import window
from llm_energy.measurement.window_drift import scatter_limit
from llm_energy.results.parts import PowerSteadiness
from worker.courses import Wave


def request(submitted, *token_times, prompt=0, wave=None):
    times = list(token_times)
    return {"prompt": prompt, "wave": wave, "submitted": submitted, "token_times": times}


def test_one_value_is_its_own_distribution():
    one = window.distribution([0.25])
    assert one is not None
    assert (one.count, one.mean, one.minimum, one.p50, one.p99, one.maximum) == (
        1, 0.25, 0.25, 0.25, 0.25, 0.25,
    )  # fmt: skip


def test_no_value_has_no_distribution():
    assert window.distribution([]) is None


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=200))
def test_percentiles_are_ordered_and_agree_with_numpy(values):
    found = window.distribution(values)
    assert found is not None
    assert found.minimum <= found.p50 <= found.p90 <= found.p95 <= found.p99 <= found.maximum
    expected = numpy.percentile(values, [50, 90, 95, 99])
    assert [found.p50, found.p90, found.p95, found.p99] == pytest.approx(list(expected))


def test_latencies_of_a_wave():
    found = window.latency([request(10.0, 10.5, 10.6, 10.8)], start=10.0, end=10.8)
    assert found.time_to_first_token_s is not None
    assert found.time_to_first_token_s.mean == pytest.approx(0.5)
    assert found.inter_token_latency_s is not None
    assert found.inter_token_latency_s.mean == pytest.approx(0.15)
    assert found.end_to_end_s is not None
    assert found.end_to_end_s.mean == pytest.approx(0.8)


def test_one_output_token_has_no_inter_token_latency():
    found = window.latency([request(0, 1)], start=0, end=1)
    assert found.inter_token_latency_s is None
    assert (found.time_to_first_token_s.mean, found.end_to_end_s.mean) == (1.0, 1.0)


def test_of_an_answer_that_came_whole_only_its_end_is_known():
    answers = [request(10.0, 11.0, 11.0, 11.0)]
    found = window.latency(answers, start=10.0, end=11.0, in_chunks=True, streamed=False)
    assert found.time_to_first_token_s is found.inter_token_latency_s is None
    assert found.token_latency_reason == "not_streamed"
    assert found.end_to_end_s.mean == pytest.approx(1.0)
    assert window.latency(answers, start=10.0, end=11.0).token_latency_reason is None


def test_a_latency_that_begins_or_ends_at_an_edge_is_counted():
    requests = [request(9.0), request(9.0, 10.0, 10.5), request(11.0, 12.0, 12.5)]
    found = window.latency(requests, start=10.0, end=12.0)
    assert found.inter_token_latency_s.mean == pytest.approx(0.5)
    assert found.time_to_first_token_s.mean == pytest.approx(1.0)


def test_a_latency_that_crosses_an_edge_is_not_counted():
    crossing_start = request(9.0, 9.5, 10.5, 10.7)
    crossing_end = request(11.0, 11.5, 12.5)
    found = window.latency([crossing_start, crossing_end], start=10.0, end=12.0)
    assert found.time_to_first_token_s is not None
    assert found.time_to_first_token_s.count == 1  # that of the second request
    assert found.inter_token_latency_s is not None
    assert found.inter_token_latency_s.count == 1  # 10.5 to 10.7
    assert found.end_to_end_s is None


def test_tokens_count_by_their_time_stamp():
    requests = [request(9.0, 9.5, 10.5, prompt=0), request(10.0, 10.2, 12.5, prompt=1)]
    counted = window.tokens(requests, input_lengths=[100, 7], start=10.0, end=12.0)
    assert (counted.input, counted.output, counted.requests) == (7, 2, 1)


def test_a_request_counts_where_its_last_token_falls_and_its_prompt_where_its_first_does():
    before = [request(8.0, 8.5, 10.5, prompt=0), request(8.0, 9.5, 11.5, prompt=0)]
    after = request(11.0, 11.5, 12.5, prompt=1)
    counted = window.tokens([*before, after], input_lengths=[100, 7], start=10.0, end=12.0)
    assert (counted.input, counted.requests) == (7, 2)


def test_tokens_at_the_edges_are_inside():
    requests = [
        request(9.0, 10.0, 12.0, prompt=0),
        request(8.0, 9.0, 10.0, prompt=0),
        request(11.0, 12.0, 13.0, prompt=1),
    ]
    counted = window.tokens(requests, input_lengths=[100, 7], start=10.0, end=12.0)
    assert (counted.input, counted.output, counted.requests) == (107, 4, 2)


@given(
    st.lists(st.floats(0, 30), max_size=60),
    st.floats(0, 30),
    st.floats(0, 30),
    st.floats(0, 30),
)
def test_two_neighbouring_windows_hold_what_their_union_holds(times, a, b, c):
    start, middle, end = sorted([a, b, c])
    requests = [request(0.0, *sorted(t for t in times if t not in (start, middle, end)))]

    def output(first, last):
        return window.tokens(requests, input_lengths=[1], start=first, end=last).output

    assert output(start, middle) + output(middle, end) == output(start, end)


def test_a_slower_last_third_is_a_negative_drift():
    times = [0.1 * i for i in range(1, 31)] + [6.0 + 0.2 * i for i in range(1, 16)]
    change = window.rate_drift([request(0.0, *times)], start=0.0, end=9.0)
    assert change == pytest.approx(15 / 30 - 1, abs=0.04)


def test_a_third_begins_at_the_windows_start_and_the_last_one_holds_its_end():
    thirds = request(0.0, 9.0, 10.0, 12.0, 15.0, 18.0)
    assert window.rate_drift([thirds], start=9.0, end=18.0) == pytest.approx(1 / 2 - 1)


def test_an_empty_third_has_no_drift():
    assert window.rate_drift([request(0.0, 1.0, 2.0)], start=0.0, end=9.0) is None


def waves_of(durations, *, first=5):
    """One request for each wave, back to back."""
    requests, now = [], 100.0
    for number, duration in enumerate(durations, start=first):
        times = [now + duration * share for share in (0.25, 0.5, 1.0)]
        requests.append(request(now, *times, wave=number))
        now += duration
    return requests


def drift_of(durations, *, passes):
    requests = waves_of(durations)
    end = requests[-1]["token_times"][-1]
    found = window.drift(requests, start=100.0, end=end, waves=len(durations), passes=passes)
    return found.throughput_relative


def test_passes_that_take_equally_long_have_no_drift_whatever_their_waves_take():
    assert drift_of([1.0, 3.0, 2.0] * 3, passes=3) == pytest.approx(0.0)


def test_passes_that_take_longer_at_the_end_are_a_negative_drift():
    assert drift_of([1.0] * 6 + [1.25] * 3, passes=3) == pytest.approx(-0.2)


def test_a_pass_lasts_from_its_first_submission_to_its_last_token():
    assert drift_of([1.0, 2.0, 3.0] * 2 + [1.0, 2.0, 5.0], passes=3) == pytest.approx(6 / 8 - 1)


def test_what_ends_outside_of_the_window_has_no_part_in_the_drift_of_its_passes():
    waves = waves_of([9.0] + [1.0] * 6 + [1.25] * 3 + [9.0], first=4)
    start, end = waves[1]["submitted"], waves[-2]["token_times"][-1]
    straddling = request(end - 0.5, end - 0.3, end - 0.2, end + 2.0, wave=13)
    found = window.drift([*waves, straddling], start=start, end=end, waves=9, passes=3)
    assert found.throughput_relative == pytest.approx(-0.2)


def test_without_passes_the_rate_drifts():
    requests = [request(0.0, 9.0, 10.0, 12.0, 15.0, 18.0)]
    found = window.drift(requests, start=9.0, end=18.0, waves=None, passes=None)
    assert (found.throughput_relative, found.power_relative) == (pytest.approx(-0.5), None)


def test_the_middle_of_the_passes_has_no_part_in_their_drift():
    durations = [1.0, 1.0, 1.0, 1.5, 1.5, 1.5, 5.0, 7.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0]
    assert drift_of(durations, passes=7) == pytest.approx(4.5 / 11.0 - 1)


def scatter_of(durations, *, passes):
    requests = waves_of(durations)
    end = requests[-1]["token_times"][-1]
    found = window.drift(requests, start=100.0, end=end, waves=len(durations), passes=passes)
    return found.throughput_scatter_limit


def test_what_scatter_explains_is_known_beside_a_drift():
    assert scatter_of([1.0, 3.0, 2.0] * 4, passes=4) == pytest.approx(0.0, abs=1e-9)
    rough = [1.0, 1.2, 0.9, 1.1, 0.8, 1.0, 1.2, 0.9, 1.3]
    assert abs(drift_of(rough, passes=9)) < scatter_of(rough, passes=9)
    assert drift_of([1.0] * 6 + [1.25] * 3, passes=9) < -scatter_of(
        [1.0] * 6 + [1.25] * 3, passes=9
    )
    assert scatter_of([1.0] * 8, passes=4) is None


def test_evenly_flowing_tokens_have_no_scatter():
    times = [0.05 + 0.1 * n for n in range(90)]
    found = window.drift([request(0.0, *times)], start=0.0, end=9.0, waves=None, passes=None)
    assert found.throughput_relative == pytest.approx(0.0)
    assert found.throughput_scatter_limit == pytest.approx(0.0, abs=1e-9)


def test_scatter_of_flowing_tokens_is_that_of_nine_equal_pieces():
    counts = [10, 12, 9, 11, 8, 10, 12, 9, 13]
    times = [n + (k + 0.5) / count for n, count in enumerate(counts) for k in range(count)]
    found = window.drift([request(0.0, *times)], start=0.0, end=9.0, waves=None, passes=None)
    pieces = [Wave(float(n), n + 1.0, count) for n, count in enumerate(counts)]
    assert found.throughput_scatter_limit == pytest.approx(scatter_limit(pieces, third=3))


@pytest.mark.parametrize(("durations", "passes"), [([1.0] * 8, 4), ([1.0] * 12, 2)])
def test_few_waves_or_passes_tell_no_drift(durations, passes):
    assert drift_of(durations, passes=passes) is None


def test_a_warm_up_is_kept_as_it_was_reported_without_a_verdict():
    report = {
        "start": 10.0,
        "end": 13.5,
        "first_wave_s": 2.0,
        "throughput": [5.0, 9.0, 8.0],
        "wave_ends_s": [2.0, 3.0, 3.5],
        "capped": True,
    }
    power = PowerSteadiness.model_construct()
    found = window.warmup(report, power=power)
    assert (found.steady, found.capped, found.verdict) == (False, True, "too_few_waves")
    assert (found.waves, found.duration_s, found.first_wave_s) == (3, 3.5, 2.0)
    assert found.throughput_tokens_per_second == [5.0, 9.0, 8.0]
    assert found.wave_ends_s == [2.0, 3.0, 3.5]
    assert found.coefficient_of_variation is found.trend_interval is found.bound is None
    assert found.power is power
