"""In load mode `open` a latency decides on cycles, and the lines and tables for people give what
became of the requests: throughput is that of the arrivals."""

import pytest
from tests.llm_energy.make_open import make_open_result
from tests.llm_energy.make_results import design, make_result, path_of, put_result
from tests.worker.virtual_engine import replace_clock

from llm_energy.analysis.aggregate import aggregate
from llm_energy.analysis.campaign_flags import with_campaign_flags
from llm_energy.analysis.decision import DECIDING, decide
from llm_energy.analysis.derived_records import write_record
from llm_energy.archive.describe import expected_numbers
from llm_energy.archive.verify import verify_results
from llm_energy.campaign.arrival_settings import Objectives
from llm_energy.campaign.campaign_file import AdaptiveCycles
from llm_energy.results.layout import decision_path
from llm_energy.results.open_load import SATURATED, STABLE
from llm_energy.runs.progress import describe

ADAPTIVE = AdaptiveCycles(first=3, maximum=4, target_relative_half_width=0.02)
SLO = Objectives(time_to_first_token_ms=200.0, end_to_end_ms=1000.0)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Three cycles at 10 requests per second, and three at 40, more than the engine serves."""
    folder = tmp_path_factory.mktemp("open")
    with pytest.MonkeyPatch.context() as patch:
        clock = replace_clock(patch)
        results = [
            make_open_result(folder, clock, rate=rate, cycle=cycle)
            for rate in (10.0, 40.0)
            for cycle in (1, 2, 3)
        ]
    for result in results:
        put_result(folder / path_of(result), result)
    return folder, results[:3], results[3:]


def with_saturation(result, saturation):
    load = result.open_load.model_copy(update={"saturation": saturation})
    return result.model_copy(update={"open_load": load})


def test_the_first_token_decides_and_not_the_arrivals(measured):
    decision = decide(measured[1], 0.02)
    assert decision.metric == "time_to_first_token_p50_s"
    assert decision.values == [r.latency.time_to_first_token_s.p50 for r in measured[1]]
    assert decision.cycles == 3  # that engine takes equally long in all cycles, and
    assert decide(measured[1], 0.02, metrics=DECIDING).cycles > 3  # arrivals scatter


def test_the_end_decides_where_no_answer_was_streamed(measured):
    results = [
        result.model_copy(
            update={"latency": result.latency.model_copy(update={"time_to_first_token_s": None})}
        )
        for result in measured[1]
    ]
    decision = decide(results, 0.02)
    assert decision.metric == "end_to_end_p50_s"
    assert decision.values == [result.latency.end_to_end_s.p50 for result in results]


def test_energy_decides_where_it_is_metered(measured):
    metered = make_result(metered=True).energy
    results = [result.model_copy(update={"energy": metered}) for result in measured[1]]
    assert decide(results, 0.02).metric == "joules_per_output_token"


def test_cycles_in_which_the_queue_grew_ask_for_no_more(measured):
    decision = decide(measured[2], 0.02)
    assert {result.open_load.saturation for result in measured[2]} == {SATURATED}
    assert (decision.metric, decision.values, decision.cycles) == (None, [], 3)


def test_a_cycle_in_which_the_queue_grew_is_made_up_for(measured):
    first, *others = (with_saturation(result, STABLE) for result in measured[1])
    decision = decide([with_saturation(first, SATURATED), *others], 0.02)
    assert decision.values[0] is None
    assert decision.cycles == decide(others, 0.02).cycles + 1


def test_objectives_decide_nothing(measured):
    """They may be others tomorrow, without a new measurement."""
    loads = [r.open_load.model_copy(update={"attained": None}) for r in measured[1]]
    results = [
        result.model_copy(update={"open_load": load})
        for result, load in zip(measured[1], loads, strict=True)
    ]
    assert decide(results, 0.02) == decide(measured[1], 0.02)


@pytest.fixture
def earlier(tmp_path, measured):
    """The campaign with a decision by throughput, as earlier versions made it."""
    folder, results, _ = measured
    for result in results:
        put_result(tmp_path / path_of(result), result)
        (tmp_path / result.side_files["requests"].path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / result.side_files["requests"].path).write_bytes(
            (folder / result.side_files["requests"].path).read_bytes()
        )
    decision = decide(results, ADAPTIVE.target_relative_half_width, metrics=DECIDING)
    path = tmp_path / decision_path(
        decision.spec_hash,
        first=ADAPTIVE.first,
        target_relative_half_width=ADAPTIVE.target_relative_half_width,
    )
    write_record(path, decision)
    return tmp_path, path, decision


def test_a_decision_of_an_earlier_version_stands(earlier, measured):
    folder, _, decision = earlier
    assert decision.metric == "output_tokens_per_second"
    assert not [line for line in verify_results(folder).problems if "decisions/" in line]
    planned = [path_of(result) for result in measured[1]]
    plan = design(reference=None, adaptive=ADAPTIVE, cycles=4)
    (found,) = aggregate(folder, planned=planned, design=plan).findings.cycles_decided
    assert (found.metric, found.needed) == (decision.metric, decision.cycles)


def test_a_decision_by_another_number_is_named(earlier):
    folder, path, decision = earlier
    write_record(path, decision.model_copy(update={"cycles": decision.cycles + 1}))
    (problem,) = [line for line in verify_results(folder).problems if "decisions/" in line]
    assert f"says {decision.cycles + 1} cycles" in problem


def test_the_line_of_a_measurement_gives_the_requests_and_their_latency(measured):
    result = measured[1][0]
    load, first = result.open_load, result.latency.time_to_first_token_s
    good, offered = load.attained.goodput_per_second, load.offered_per_second
    latency = f"first token {first.p50 * 1000:.0f} ms (p99 {first.p99 * 1000:.0f} ms)"
    share = f"{100 * load.attained.attainment:.1f}\N{NO-BREAK SPACE}%"
    assert describe(result).startswith(
        f"{good:.2f} of {offered:.2f} requests/s good ({share}), {latency}, no energy"
    )
    assert "tokens/s" not in describe(result)


def test_without_objectives_the_line_gives_the_requests_that_ended(measured):
    load = measured[2][0].open_load.model_copy(update={"attained": None})
    line = describe(measured[2][0].model_copy(update={"open_load": load}))
    ended = f"{load.achieved_per_second:.1f} of {load.offered_per_second:.1f} requests/s ended, "
    assert line.startswith(ended)


def test_the_line_gives_the_energy_of_a_good_request(measured):
    result = measured[1][0]
    attained = result.open_load.attained.model_copy(update={"joules_per_good_request": 12.5})
    load = result.open_load.model_copy(update={"attained": attained})
    assert ", 12.5 J/good request, no energy" in describe(
        result.model_copy(update={"open_load": load})
    )


def test_the_expected_numbers_are_those_of_the_requests(measured):
    folder, *results = measured
    planned = [path_of(result) for own in results for result in own]
    summary = aggregate(folder, planned=planned, design=design(reference=None, slo=SLO))
    rows = list(expected_numbers(summary.experiments))
    assert {row["metric"] for row in rows} == {
        *("Goodput, good requests", "Attainment, share of good requests"),
        *("Time to first token, median", "Time to first token, 99th percentile"),
    }
    assert {row["experiment"] for row in rows} == {"serving_rate10", "serving_rate40 (saturated)"}
    (share,) = [r for r in rows if r["unit"] == "%" and r["experiment"] == "serving_rate10"]
    (stored,) = summary.experiments.query(
        "metric == 'attainment' and experiment == 'serving_rate10'"
    ).to_dict("records")
    wider = max(stored["t_high"] - stored["mean"], stored["mean"] - stored["t_low"])
    assert share["again"] == f"±{100 * wider * 2**0.5 / stored['mean']:.1f}\N{NO-BREAK SPACE}%"


def test_outlying_arrivals_are_no_outlier(measured):
    """Throughput of 100 tokens/s in all cycles but one is one in any other load mode."""
    results = [
        result.model_copy(update={"cycle": cycle, "output_tokens_per_second": value})
        for cycle, value in enumerate((100.0, 100.1, 99.9, 100.0, 300.0), start=1)
        for result in measured[1][:1]
    ]
    closed = [result.model_copy(update={"load_mode": "closed"}) for result in results]
    found = [
        [
            flag.code
            for result in with_campaign_flags(some, [], margin=0.02)
            for flag in result.flags
        ]
        for some in (results, closed)
    ]
    assert [codes.count("outlier") for codes in found] == [0, 1]


def test_numbers_of_nothing_have_no_relative_spread(measured):
    """An overloaded server may have no good request at all."""
    folder, _, saturated = measured
    strict = Objectives(time_to_first_token_ms=0.001)
    planned = [path_of(result) for result in saturated]
    summary = aggregate(folder, planned=planned, design=design(reference=None, slo=strict))
    rows = list(expected_numbers(summary.experiments))
    assert {r["again"] for r in rows if r["metric"].startswith(("Goodput", "Attainment"))} == {"-"}
