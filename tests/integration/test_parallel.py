"""A campaign on several simulated GPUs of this host at once, each block on one of them."""

import itertools
import json

import pytest

from llm_energy.power.series_file import read_series
from llm_energy.power.sources import read_sensors
from llm_energy.results.result import read_result
from tests.integration.gpus import powered_tree
from tests.integration.workflow import CAMPAIGN
from tests.nvml_simulator.fixtures import nvml_library
from tests.nvml_simulator.scenario import Gpu, constant, with_uuid

__all__ = ["nvml_library"]

pytestmark = pytest.mark.integration

MEASUREMENT = {
    "device": "gpu",
    "minimum_duration_s": 10.0,
    "baseline_s": 0.5,
    "warmup_cap_s": 1.5,
    "tail_s": 0.2,
}
WAVES = {"token_s": 0.05, "prefill_s": 0.05}
PARALLEL = CAMPAIGN | {
    "measurement": MEASUREMENT,
    "parallel": {},
    "defaults": CAMPAIGN["defaults"] | {"engine": {"sleep": WAVES}},
}
CONTROLLED = PARALLEL | {"reference": "nap_batch1", "controls": {"neighbours": True}}
AT_ONCE = ("--cores", "2", "--resources", "gpu=2")
WATTS = (600.0, 500.0)


def gpus():
    """Two GPUs of one model, of which the second draws less; CPU 0 is near both."""
    near = {"idle_watts": 100.0, "counter_update_s": 0.0, "thermal_s": 0.5, "cpus": (0,)}
    return [with_uuid(Gpu(knots=constant(w), **near), n) for n, w in enumerate(WATTS, start=1)]


@pytest.fixture(scope="module")
def measured_on_two(tmp_path_factory, nvml_library):
    """(tree, truth, output) of two blocks of two experiments, measured on two GPUs."""
    folder = tmp_path_factory.mktemp("two-gpus")
    with pytest.MonkeyPatch.context() as environment:
        tree, truth = powered_tree(
            CONTROLLED, gpus(), folder, nvml_library, environment, apart=True
        )
        yield tree, truth, tree.run(*AT_ONCE, check=True).stdout


def by_cycle(tree):
    found = {}
    for path in tree.results():
        result = read_result(path)
        found.setdefault(result.cycle, []).append(result)
    return found


def test_each_block_lies_on_one_gpu_in_a_session_of_its_own(measured_on_two):
    tree, truth, _ = measured_on_two
    blocks = by_cycle(tree)
    uuids = [gpu.uuid for gpu in truth.gpus]
    places = {
        cycle: {(tuple(r.environment.device_uuids), r.environment.session_id) for r in results}
        for cycle, results in blocks.items()
    }
    assert [len(place) for place in places.values()] == [1, 1]
    assert [next(iter(places[cycle]))[0] for cycle in (1, 2)] == [(uuids[0],), (uuids[1],)]
    assert len({session for place in places.values() for _, session in place}) == 2
    assert [len(results) for results in blocks.values()] == [3, 3]


def test_the_gpus_are_measured_on_at_the_same_time(measured_on_two):
    tree, _, output = measured_on_two
    blocks = by_cycle(tree)
    pairs = itertools.product(blocks[1], blocks[2])
    shared_s = sum(
        max(
            0.0,
            min(a.window.end_monotonic_s, b.window.end_monotonic_s)
            - max(a.window.start_monotonic_s, b.window.start_monotonic_s),
        )
        for a, b in pairs
    )
    assert shared_s > 0.0
    assert "Measuring on 2 sets of GPUs, 2 at a time" in output


def test_the_control_of_neighbours_runs_while_nothing_else_does(measured_on_two):
    tree, _, _ = measured_on_two
    results = [result for block in by_cycle(tree).values() for result in block]
    for alone in (r for r in results if r.experiment == "nap_batch1.neighbours"):
        start, end = alone.window.start_monotonic_s, alone.window.end_monotonic_s
        for other in (r for r in results if r is not alone):
            first, last = other.phases[0].start_monotonic_s, other.phases[-1].end_monotonic_s
            assert last < start or first > end
    summary = json.loads((tree.folder / "results/nap/summary/summary.json").read_text())
    verdicts = {each["verdict"] for each in summary["controls"]}
    assert verdicts <= {"undecided", "not_testable"}  # two pairs at most


def test_a_result_has_the_energy_of_its_own_gpu_alone(measured_on_two):
    tree, truth, _ = measured_on_two
    for path in tree.results():
        result = read_result(path)
        (uuid,) = result.environment.device_uuids
        index = [gpu.uuid for gpu in truth.gpus].index(uuid)
        window, energy = result.window, result.energy
        true = truth.joules(index, window.start_monotonic_s, window.end_monotonic_s)
        assert energy.energy_joules == pytest.approx(true, rel=0.002)
        assert energy.mean_power_watts == pytest.approx(WATTS[index], rel=0.002)
        boards = [each.device for each in energy.devices if each.scope == "gpu_board"]
        assert boards == [uuid]
        codes = {flag.code for flag in result.flags}
        assert codes.isdisjoint({"contended", "gpu_use_unknown"})


def test_energies_of_the_host_belong_to_nobody(measured_on_two):
    tree, _, _ = measured_on_two
    for path in tree.results():
        result = read_result(path)
        assert result.environment.shares_host
        assert result.energy.gpu_cpu_dram_joules is None
        for each in result.energy.devices:
            if each.scope != "gpu_board":
                assert (each.energy_joules, each.reason) == (None, "shared_host")


def test_engines_run_on_the_cpus_near_their_gpus(measured_on_two):
    tree, _, _ = measured_on_two
    assert {tuple(read_result(p).environment.cpu_set or ()) for p in tree.results()} == {(0,)}


def test_each_sampler_reads_its_own_gpu(measured_on_two):
    tree, truth, _ = measured_on_two
    for path in tree.results():
        result = read_result(path)
        series = read_series(tree.folder / "results/nap" / result.side_files["series"].path)
        assert {reading.device for reading in series.readings} == set(
            result.environment.device_uuids
        )
    sensors = read_sensors(tree.folder / "results/nap")
    assert set(sensors["devices"]) == {gpu.uuid for gpu in truth.gpus}


def test_nothing_is_left(measured_on_two):
    tree, _, _ = measured_on_two
    assert tree.runs() == []
    assert tree.processes() == []
    records = [json.loads(p.read_text()) for p in (tree.folder / "results/nap/runs").glob("*.json")]
    assert len(records) == 3


def test_the_same_command_again_has_nothing_to_do(measured_on_two):
    tree, _, _ = measured_on_two
    assert "Nothing to be done" in tree.run(*AT_ONCE, check=True).stdout


@pytest.mark.long
def test_a_search_measures_the_cycles_of_a_rate_at_the_same_time(
    tmp_path, nvml_library, monkeypatch
):
    rates = {"highest_good": {"from": 3, "to": 24, "tolerance": 1}}
    campaign = PARALLEL | {
        "slo": {"time_to_first_token_ms": 400},
        "defaults": PARALLEL["defaults"] | {"load_mode": "open", "batch_size": 2},
        "experiments": {"serve": {"axes": {"request_rate": rates}}},
    }
    tree, truth = powered_tree(campaign, gpus(), tmp_path, nvml_library, monkeypatch, apart=True)
    tree.run(*AT_ONCE, check=True)
    for cycle, results in by_cycle(tree).items():
        assert len(results) >= 2
        uuids = {tuple(result.environment.device_uuids) for result in results}
        assert uuids == {(truth.gpus[cycle - 1].uuid,)}
    assert "Highest good rate of serve: " in tree.run("status", check=True).stdout
    assert "Nothing to be done" in tree.run(*AT_ONCE, check=True).stdout
