"""From what was seen to energy: which GPUs count, and what failed attempts took."""

from dataclasses import replace
from pathlib import Path

import pytest
from power.made_power import GPU, constant, series_of, together
from tests.llm_energy.make_campaigns import load, make_checkout

from llm_energy.backends.runtime import ReadyEnvironment
from llm_energy.inputs.models import VerifiedModel
from llm_energy.measurement.job import ExperimentRecord, FixedPrompts, Job, Observation
from llm_energy.measurement.job_energy import (
    energy_of,
    energy_spent,
    gpu_use_flags,
    metered_gpus,
)
from llm_energy.power.meter import State
from llm_energy.results.parts import Phase

OTHER = replace(GPU, id="GPU-2")


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    campaign = load(make_checkout(tmp_path_factory.mktemp("checkout")))
    experiment = ExperimentRecord.of(campaign, campaign.experiments[0])
    return Job(replace(experiment, device="gpu"), 1, 0, 1, "measurements/e/s/cycle-1.json")


def seen_on(*processes):
    """Two boards under 600 W and 100 W; on the first these processes compute."""
    first = series_of(constant(600.0))
    state = State(process_ids=processes)
    first = replace(first, readings=tuple(replace(r, state=state) for r in first.readings))
    return Observation(
        started="now",
        environment=ReadyEnvironment("python", "3", "1", {}, "0" * 64),
        model=VerifiedModel(Path("m"), (Path("m"),), format="gguf", sha256="0" * 64, identity={}),
        prompts=FixedPrompts("0" * 64, (), 0.0),
        phases=[Phase(name="window", start_monotonic_s=5.0, end_monotonic_s=15.0)],
        series=together(first, series_of(constant(100.0), device=OTHER)),
        own_processes={4711},
    )


def test_only_the_gpus_that_the_engine_used_count(job):
    seen = seen_on(4711)
    assert metered_gpus(job, seen) == [GPU]
    assert energy_of(job, seen, None, None).energy.energy_joules == pytest.approx(6000.0)
    assert gpu_use_flags(job, [GPU], seen) == []


def test_where_it_was_seen_on_none_all_count_and_a_flag_says_so(job):
    seen = seen_on()
    assert metered_gpus(job, seen) == [GPU, OTHER]
    account = energy_of(job, seen, None, None)
    assert account.energy.energy_joules == pytest.approx(7000.0)
    (flag,) = [f for f in account.flags if f.code == "gpu_use_unknown"]
    assert "all 2" in flag.message


def test_a_failed_attempt_took_what_was_read_from_first_to_last(job):
    spent = energy_spent(job, replace(seen_on(4711), phases=[]))
    assert spent["duration_s"] == pytest.approx(30.0)
    assert spent["energy_joules"] == pytest.approx(600.0 * 30.0)
    assert (spent["reason"], spent["scope"], spent["method"]) == (None, "gpu_board", "counter")


@pytest.mark.parametrize("seen", [None, replace(seen_on(), series=None)])
def test_without_readings_nothing_is_known_of_it(job, seen):
    assert energy_spent(job, seen) == {"energy_joules": None, "reason": "no_samples"}
