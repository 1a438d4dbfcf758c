"""Open loads through the whole workflow, on the engine that sleeps."""

import pytest

from llm_energy.results.result import read_result
from tests.integration.conftest import made
from tests.integration.workflow import CAMPAIGN

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
