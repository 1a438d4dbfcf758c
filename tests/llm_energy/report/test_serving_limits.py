"""The cheapest configuration at a rate: every stored request, judged again on the page."""

import json
from dataclasses import replace

import pytest
from tests.browser import Browser
from tests.llm_energy.make_open import make_open_result
from tests.llm_energy.make_results import design, path_of, put_result
from tests.llm_energy.report.test_serving_figures import (
    JOULES,
    Serve,
    measured,
    serve,
    with_undecided,
)
from tests.worker.virtual_engine import Clock, virtual_clock

from llm_energy.analysis.aggregate import aggregate
from llm_energy.report import serving_limits
from llm_energy.report.limits import limit_data
from llm_energy.report.page import render_page, write_page
from llm_energy.report.serving_limits import serving_data

__all__ = ["measured", "serve", "virtual_clock"]

ANSWER = """(() => {
  const form = document.querySelector("#serving-limits");
  form.querySelector("[data-rate]").selectedIndex = %d;
  form.querySelector('[data-latency="end_to_end"]').value = "%s";
  form.dispatchEvent(new Event("input"));
  return [form.querySelector("output").textContent,
          ...[...form.querySelectorAll("li")].map((item) => item.textContent)];
})()"""


def test_requests_give_the_attainment_of_the_results_again(serve: Serve) -> None:
    summary = serve()
    data = json.loads(serving_data(summary) or "")
    assert data["objectives"] == {"time_to_first_token": 200, "end_to_end": 1000, "share": 90}
    assert [each["rate"] for each in data["rates"]] == [5, 15, 30]
    judged = {}
    for each in data["rates"]:
        labels = [own["label"] for own in each["configurations"]]
        assert labels == ["batch size 8", "batch size 16"]
        for own in each["configurations"]:
            for cycle in own["cycles"]:
                assert cycle["joules"] == JOULES
                first, end = (
                    cycle["latencies"][name] for name in ("time_to_first_token", "end_to_end")
                )
                good = sum(a <= 200 and b <= 1000 for a, b in zip(first, end, strict=True))
                name = f"serve_{own['label'].replace(' size ', '')}_rate{each['rate']:g}"
                judged[name, cycle["cycle"]] = good / cycle["arrivals"]
    table = summary.measurements
    stated = table.set_index(["experiment", "cycle"])["attainment"].to_dict()
    assert judged == pytest.approx({key: stated[key] for key in judged})
    assert len(judged) == len(table)
    assert min(judged.values()) < 0.9 < max(judged.values())


def test_open_loads_are_left_out_of_the_form_for_other_modes(serve: Serve) -> None:
    assert limit_data(serve(rates=(5.0,))) is None


def test_without_requests_or_with_too_many_there_is_no_form(
    serve: Serve, summary_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = serve(rates=(5.0,))
    assert serving_data(replace(summary, requests=summary.requests[:0])) is None
    monkeypatch.setattr(serving_limits, "MOST_REQUESTS", 10)
    assert serving_data(summary) is None
    assert serving_data(summary_of()) is None


def test_the_answer_follows_rate_and_objectives(serve: Serve, tmp_path) -> None:
    text = render_page(with_undecided(serve(), 5.0), [], partial=False)
    with Browser() as browser:
        browser.open(write_page(tmp_path, text, partial=False))
        browser.until("!document.querySelector('#serving-limits').hidden")
        slow, *rows = browser.evaluate(ANSWER % (2, "1000"))
        assert slow.startswith("batch size 16: ")
        assert "J per good request, the least in the means. 1 of 2 configurations" in slow
        assert rows[1].startswith("batch size 8: ")
        assert rows[1].endswith("saturated, not kept")
        assert not any("undecided" in each for each in (slow, *rows))
        fast, *rows = browser.evaluate(ANSWER % (0, "1000"))
        assert "in the means, saturation undecided in 1 of 2 cycles. 2 of 2 configurations" in fast
        assert "2 of 2 configurations keep the objectives at 5 requests/s." in fast
        assert all(row.endswith(", saturation undecided in 1 of 2 cycles") for row in rows)
        strict, *rows = browser.evaluate(ANSWER % (0, "1"))
        assert strict == "No configuration keeps the objectives at 5 requests/s."
        assert all(": 0 % good, " in row and row.endswith(", not kept") for row in rows)
        assert browser.complaints() == []


def test_one_configuration_has_nothing_to_compare_it_with(tmp_path, virtual_clock: Clock) -> None:
    results = [make_open_result(tmp_path, virtual_clock, rate=rate) for rate in (5.0, 60.0)]
    for result in results:
        put_result(tmp_path / path_of(result), result)
    planned = [path_of(result) for result in results]
    summary = aggregate(tmp_path, planned=planned, design=design(reference=None))
    assert "all settings equal" not in (serving_data(summary) or "")
    text = render_page(summary, [], partial=False)
    assert "No two configurations are ranked: they were measured under different terms" in text
    with Browser() as browser:
        browser.open(write_page(tmp_path, text, partial=False))
        browser.until("!document.querySelector('#serving-limits').hidden")
        kept, row = browser.evaluate(ANSWER % (0, "1000"))
        assert kept.startswith("Only one configuration was measured at 5 requests/s: there is ")
        assert kept.endswith("It keeps the objectives.")
        assert row.startswith("the only configuration: ")
        missed, _ = browser.evaluate(ANSWER % (1, "1000"))
        assert missed.endswith("It does not keep the objectives.")
