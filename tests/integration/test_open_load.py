"""Open loads through the whole workflow, on the engine that sleeps."""

from math import sqrt

import pytest

from llm_energy.measurement.open_queue import idle_spans
from llm_energy.results.result import read_result
from llm_energy.results.side_files import read_requests
from tests.integration.conftest import made
from tests.integration.gpus import powered_tree
from tests.integration.workflow import CAMPAIGN
from tests.nvml_simulator.fixtures import nvml_library
from tests.nvml_simulator.scenario import Gpu, constant

__all__ = ["nvml_library"]

SERVING = CAMPAIGN | {
    "cycles": 1,
    "slo": {"time_to_first_token_ms": 200, "end_to_end_ms": 1000},
    "measurement": CAMPAIGN["measurement"] | {"minimum_duration_s": 1.0},
    "defaults": CAMPAIGN["defaults"]
    | {
        "load_mode": "open",
        "batch_size": 2,
        "engine": {"sleep": {"prefill_s": 0.01, "token_s": 0.01}},
    },
    "experiments": {"serve": {"axes": {"request_rate": [30, 300]}}},
}
"""Two slots of 40 ms: 50 requests per second at most."""


IN_BURSTS = CAMPAIGN | {
    "cycles": 1,
    "measurement": CAMPAIGN["measurement"]
    | {"device": "gpu", "minimum_duration_s": 10.0, "sampling_hz": 50},
    "defaults": CAMPAIGN["defaults"]
    | {
        "load_mode": "open",
        "batch_size": 4,
        "request_rate": 5,
        "arrivals": {"process": "gamma", "burstiness": 0.05},
        "engine": {"sleep": {"prefill_s": 0.05, "token_s": 0.05}},
    },
    "experiments": {"bursts": {}},
}
"""Requests of 0.2 s in clumps, with gaps of seconds between them."""


@pytest.fixture(scope="module")
def in_bursts(tmp_path_factory, nvml_library):
    """(result, requests, truth) of a load in bursts on a GPU of 600 W, 100 W at rest."""
    folder = tmp_path_factory.mktemp("bursts")
    gpu = Gpu(
        idle_watts=100.0,
        knots=constant(600.0),
        counter_update_s=0.02,
        load_file=folder / "load",
        process_file=folder / "load.processes",
    )
    with pytest.MonkeyPatch.context() as environment:
        tree, truth = powered_tree(IN_BURSTS, [gpu], folder, nvml_library, environment)
        tree.run("measurements", check=True)
    (path,) = tree.results()
    result = read_result(path)
    requests, _ = read_requests(tree.folder / "results/nap" / result.side_files["requests"].path)
    return result, requests, truth


def test_the_energy_of_bursts_and_gaps_is_the_true_one(in_bursts):
    result, _, truth = in_bursts
    start, end = result.window.start_monotonic_s, result.window.end_monotonic_s
    true = truth.joules(0, start, end)
    assert 1.15 * 100.0 * (end - start) < true < 0.85 * 600.0 * (end - start)
    assert result.energy.reason is None
    assert result.energy.energy_joules == pytest.approx(true, rel=0.02)
    per_token = true / result.tokens.output
    assert result.energy.joules_per_output_token == pytest.approx(per_token, rel=0.02)


def test_the_energy_of_gaps_is_that_without_a_request_in_flight(in_bursts):
    """Each edge of a gap is known to a reading and a period of the sensor, 0.02 s each, and to
    0.1 s each on a busy machine."""
    result, requests, truth = in_bursts
    span = (result.window.start_monotonic_s, result.window.end_monotonic_s)
    gaps = idle_spans(requests, span)
    assert max(end - start for start, end in gaps) > 0.5
    true = sum(truth.joules(0, *gap) for gap in gaps) / truth.joules(0, *span)
    # Uniform in 0.2 s, and independent between edges, at which power changes by 500 W.
    edge_joules = 500.0 * 0.2 / sqrt(12)
    spread = edge_joules * sqrt(2 * len(gaps)) / truth.joules(0, *span)
    assert result.open_load.idle_energy_share == pytest.approx(true, abs=3 * spread)
    # At constant power the two shares would be equal.
    assert result.open_load.idle_energy_share < result.open_load.idle_share
    assert result.open_load.idle_share == pytest.approx(
        sum(end - start for start, end in gaps) / (span[1] - span[0])
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    return made(tmp_path_factory, "served", campaign=SERVING)


def test_requests_of_the_schedule_are_served_and_judged(served):
    for rate in (30, 300):
        (path,) = served.of(f"serve_rate{rate}")
        result = read_result(path)
        load = result.open_load
        assert load.arrivals == pytest.approx(rate, abs=5 * rate**0.5)
        assert load.attained.objectives.end_to_end_s == 1.0
        assert load.completed + load.failed + load.cut + load.unfinished == load.arrivals
        assert result.window.duration_s == pytest.approx(1.0)
        assert result.latency.time_to_first_token_s.count == load.arrivals - load.unfinished


def test_a_rate_far_above_capacity_is_saturated(served):
    (path,) = served.of("serve_rate300")
    result = read_result(path)
    assert result.open_load.saturation == "saturated"
    assert "saturated" in {flag.code for flag in result.flags}


def test_rates_share_the_engine_process(served):
    results = sorted(map(read_result, served.results()), key=lambda result: result.position)
    assert [result.process.engine_jobs for result in results] == [0, 1]


def test_the_report_has_a_row_for_each_rate(served):
    page = (served.folder / "results/nap/report.html").read_text()
    table = page[page.index('id="serving-table"') :]
    assert "300 requested" in table
    assert "30 requested" in table
    assert "A good request keeps time to first token at most 200 ms, end to end at most" in table


def test_verify_computes_the_same_numbers_again(served):
    """It names the empty list of packages, which the sleeping engine has, and no result."""
    printed = served.run("verify").stdout
    assert "2 results: " in printed
    assert "measurements/" not in printed


def test_the_plan_names_the_rates(served):
    printed = served.run("plan", check=True).stdout
    assert "request_rate" in printed
    assert "load_mode open" in printed
