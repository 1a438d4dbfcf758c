"""Load mode `open` in a campaign: identities, defaults, and one line for each mistake."""

import copy
import json
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.llm_energy.make_campaigns import BASE, load, make_checkout, mistakes, steady_trace

from llm_energy.campaign.pilot_config import pilot_config
from llm_energy.measurement.arrival_recipes import of_cycle
from llm_energy.measurement.job import ExperimentRecord, Job
from llm_energy.system.errors import PromptError
from worker.records import read_record


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_checkout(tmp_path)


def open_load(**changes: Any) -> dict[str, Any]:
    """A campaign with a load at 2 requests per second in a window of 20 s."""
    config = copy.deepcopy(BASE)
    config["measurement"] = {"minimum_duration_s": 20}
    config["experiments"] = {"x": {"settings": {"load_mode": "open", "request_rate": 2}}}
    config["experiments"]["x"]["settings"] |= changes.pop("settings", {})
    return config | changes


@pytest.mark.parametrize(
    ("slo", "fault"),
    [
        ({}, "slo: holds no objective; give one of time_to_first_token_ms, inter_token_latency_ms"),
        ({"share": 0.5}, "slo: holds no objective"),
        ({"end_to_end_ms": None}, "slo: holds no objective"),
        ({"end_to_end_ms": 0}, "slo.end_to_end_ms: must be above 0, not 0"),
        ({"end_to_end_ms": 10, "share": 0}, "slo.share: must be above 0, not 0"),
        ({"end_to_end_ms": 10, "share": 90}, "slo.share: must be at most 1, not 90"),
        ({"ttft_ms": 10}, "slo.ttft_ms: unknown key"),
        (200, "slo: must be"),
    ],
)
def test_objectives_that_are_none_are_refused(root: Path, slo: Any, fault: str) -> None:
    (found, *_) = mistakes(root, open_load(slo=slo))
    assert fault in found


@pytest.mark.parametrize(
    "rate", [-1, 0, float("nan"), float("inf"), 1e7, True, "4", [2], {"from": 1, "to": 2}]
)
def test_a_rate_that_is_none_is_refused(root: Path, rate: Any) -> None:
    (found,) = mistakes(root, open_load(settings={"request_rate": rate}))
    assert "experiments.x.settings.request_rate: must be" in found


MISTAKES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"request_rate": None}, "load_mode: `open` needs a `request_rate`"),
    ({}, {"request_rate": 1.4}, "request_rate: 1.4/s makes 28 arrivals in a window of 20 s, 30"),
    (
        {},
        {"request_rate": 1.3},
        # In 23 s there are 29.9.
        "26 arrivals in a window of 20 s, 30 are needed; set measurement.minimum_duration_s to 24",
    ),
    ({}, {"request_rate": 1e-5}, "makes 0 arrivals in a window of 20 s, 30 are needed; raise it"),
    ({}, {"request_rate": 0}, "request_rate: must be above 0, not 0"),
    ({}, {"load_mode": "closed"}, "request_rate: belongs to load mode `open`; set that, or remove"),
    (
        {},
        {"arrivals": {"burstiness": 0.5}},
        "arrivals.burstiness: is for process gamma, not poisson",
    ),
    ({}, {"arrivals": {"process": "bursts"}}, "arrivals.process: must be 'poisson', 'gamma'"),
    ({}, {"arrivals": {"lengths": "trace"}}, "load_mode: arrivals from a trace need `trace`"),
    ({}, {"trace": "night"}, "trace: unknown trace `night`; known: day"),
    ({"trace": "day"}, {"arrivals": {"process": "trace"}}, "request_rate: 2 is more than the 1"),
    (
        {"trace": "day", "request_rate": 0.5, "measurement": {"minimum_duration_s": 900}},
        {"arrivals": {"process": "trace"}},
        "trace: lasts 400 s, window and tail take 901 s",
    ),
    (
        {"trace": "day"},
        {"arrivals": {"lengths": "trace"}},
        "context_tokens 512 cannot hold a request of 600",
    ),
    (
        {},
        {"arrivals": {"lengths": "uniform"}, "output_tokens": 300},
        "output_tokens: 599 and a prompt do not fit into context_tokens 512",
    ),
]


@pytest.mark.parametrize(("campaign", "settings", "message"), MISTAKES)
def test_a_mistake_is_one_line(
    root: Path, campaign: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    lines = [
        json.dumps({"timestamp": 1000 * n, "input_length": 500, "output_length": 100})
        for n in range(400)
    ]
    (root / "day.jsonl").write_text("\n".join(lines))
    own = {key: campaign[key] for key in ("trace", "request_rate") if key in campaign}
    changes = {key: value for key, value in campaign.items() if key not in own}
    config = open_load(settings=own | settings, traces={"day": {"file": "day.jsonl"}}, **changes)
    (found,) = mistakes(root, config)
    assert message in found


@pytest.mark.parametrize(
    ("axes", "fault"),
    [
        ({"request_rate": [float("nan"), 2]}, "request_rate[0]: must be a finite number, not NaN"),
        ({"request_rate": [2, 4, 8], "load_mode": ["closed"]}, "belongs to load mode `open`"),
    ],
)
def test_a_mistake_of_an_axis_is_one_line(root: Path, axes: dict[str, Any], fault: str) -> None:
    settings = {} if "load_mode" in axes else {"load_mode": "open"}
    config = open_load(experiments={"x": {"settings": settings, "axes": axes}})
    (found,) = mistakes(root, config)
    assert fault in found


def test_a_folder_is_no_trace(root: Path) -> None:
    settings = {"trace": "day", "arrivals": {"process": "trace"}}
    (found,) = mistakes(root, open_load(settings=settings, traces={"day": {"file": "."}}))
    assert "traces.day.file: . is no file; paths start at the working directory" in found


def test_objectives_are_for_open_load_alone(root: Path) -> None:
    config = copy.deepcopy(BASE) | {"slo": {"end_to_end_ms": 100}}
    (found,) = mistakes(root, config)
    assert found.endswith("slo: no experiment has load mode `open`, which it is for; remove it")
    assert load(root, open_load(slo={"end_to_end_ms": 100})).slo is not None


def test_objectives_identify_nothing(root: Path) -> None:
    plain, judged = open_load(), open_load(slo={"time_to_first_token_ms": 100})
    assert load(root, plain).names == load(root, judged).names


def test_the_recipe_of_arrivals_identifies_an_experiment(root: Path) -> None:
    recipes = [
        {},
        {"request_rate": 3},
        {"arrivals": {"seed": 1}},
        {"arrivals": {"process": "constant"}},
        {"arrivals": {"lengths": "uniform"}},
    ]
    specs = [load(root, open_load(settings=one)).experiments[0].spec_hash for one in recipes]
    assert len(set(specs)) == len(recipes)


def test_other_load_modes_keep_their_identity(root: Path) -> None:
    (experiment, *_) = load(root).experiments
    assert not {"request_rate", "arrivals", "trace"} & experiment.spec["settings"].keys()
    assert not {"request_rate", "arrivals"} & experiment.settings.resolved().keys()


def test_rates_share_an_engine_process_and_stay_together(root: Path) -> None:
    axes = {"request_rate": [2, 4, 8], "batch_size": [2, 8]}
    group = {"settings": {"load_mode": "open"}, "axes": axes}
    campaign = load(root, open_load(experiments={"x": group}))
    keys = {e.name: e.engine_key for e in campaign.experiments}
    assert keys["x_rate2_batch2"] == keys["x_rate4_batch2"] == keys["x_rate8_batch2"]
    assert keys["x_rate2_batch2"] != keys["x_rate2_batch8"]
    first = [keys[p.experiment.name] for p in campaign.schedule[:6]]
    assert sum(a != b for a, b in pairwise(first)) == 1
    # Rates are no rivals of each other; batch sizes are, at each rate.
    assert {c.factor for c in campaign.contrasts} == {"batch_size"}
    assert len(campaign.contrasts) == 3


def test_a_trace_counts_by_its_content(root: Path) -> None:
    def spec(name: str) -> str:
        settings = {"trace": "day", "request_rate": None, "arrivals": {"process": "trace"}}
        config = open_load(settings=settings, traces={"day": {"file": name}})
        (experiment,) = load(root, config).experiments
        return experiment.spec_hash

    lines = steady_trace(900)
    for name, count in (("a", 900), ("b", 900), ("c", 899)):
        (root / name).write_text("\n".join(lines[:count]))
    assert spec("a") == spec("b") != spec("c")


def test_a_job_gets_the_stretch_of_its_cycle(root: Path) -> None:
    lines = steady_trace(4000)
    (root / "day").write_text("\n".join(lines))
    settings = {
        "trace": "day",
        "request_rate": 5,
        "arrivals": {"process": "trace", "lengths": "trace"},
    }
    campaign = load(root, open_load(settings=settings, traces={"day": {"file": "day"}}))
    record = ExperimentRecord.of(campaign, campaign.experiments[0])
    assert read_record(ExperimentRecord, json.loads(json.dumps(asdict(record))), "r") == record
    stretches = [Job(record, cycle, 0, 1, "r").arrivals() for cycle in (1, 2)]
    for recipe in stretches:
        assert recipe is not None
        assert recipe.fault() is None
        assert recipe.trace_span_s == 21.0
        assert len(recipe.trace_times_s) == pytest.approx(105, abs=35)
    assert stretches[0] != stretches[1]
    (root / "day").write_text("\n".join(lines[:-1]))
    with pytest.raises(PromptError, match="is not the trace that was declared"):
        Job(record, 1, 0, 1, "r").arrivals()


def test_drawn_arrivals_take_all_lengths_of_a_trace(root: Path) -> None:
    lines = steady_trace(400)
    (root / "day").write_text("\n".join(lines))
    settings = {"trace": "day", "arrivals": {"lengths": "trace"}}
    campaign = load(root, open_load(settings=settings, traces={"day": {"file": "day"}}))
    record = ExperimentRecord.of(campaign, campaign.experiments[0])
    assert record.workload.arrivals is not None
    recipe = of_cycle(record.workload.arrivals, record.trace, cycle=1, length_s=20.0)
    assert recipe.rate == 2.0
    assert len(recipe.trace_output_tokens) == 400


def test_the_window_on_a_gpu_is_longer(root: Path) -> None:
    config = open_load(measurement={"device": "gpu"})
    assert load(root, config).measurement.minimum_duration_s == 120.0
    config["measurement"]["minimum_duration_s"] = 60.0
    assert load(root, config).measurement.minimum_duration_s == 60.0


def test_a_pilot_keeps_the_window_of_an_open_load(root: Path) -> None:
    pilot = load(root, pilot_config(open_load()))
    assert pilot.measurement.minimum_duration_s == 20.0
    assert pilot.measurement.warmup_cap_s == 2.0
