"""The data of the page's limits: every stored latency, counted where it is surely below."""

import json

from llm_energy.report.estimates import estimates
from llm_energy.report.limits import limit_data
from llm_energy.results.metrics import JOULES_PER_OUTPUT_TOKEN, THROUGHPUT


def test_experiments_come_best_first_with_all_their_latencies(whole):
    data = json.loads(limit_data(whole.summary))
    (group,) = data["groups"]
    labels = [experiment["label"] for experiment in group["experiments"]]
    assert labels == [e.label for e in estimates(whole.summary, JOULES_PER_OUTPUT_TOKEN)]
    assert data["best"] == "least energy per output token"
    counted = sum(
        count
        for experiment in group["experiments"]
        for bins in experiment["latencies"].values()
        for _, count in bins
    )
    assert counted == whole.summary.latencies["count"].sum()


def test_a_bin_ends_where_all_its_latencies_are_below(whole):
    table = whole.summary.latencies
    ends = {
        end
        for experiment in json.loads(limit_data(whole.summary))["groups"][0]["experiments"]
        for bins in experiment["latencies"].values()
        for end, _ in bins
    }
    assert max(ends) >= 1e3 * table["high_s"].max() * (1 - 1e-8)
    assert min(ends) > 1e3 * table["low_s"].min()


def test_without_energy_the_fastest_is_found(summary_of):
    summary = summary_of(side_files=True)
    assert estimates(summary, THROUGHPUT)
    assert json.loads(limit_data(summary))["best"] == "fastest"


def test_without_stored_requests_there_is_nothing_to_ask(summary_of):
    assert limit_data(summary_of()) is None
