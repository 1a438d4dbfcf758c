"""`remeasure=invalid` takes what another measurement can mend, and nothing else."""

import pytest
from tests import damaged
from tests.llm_energy import make_results, make_side_files
from tests.nvml_simulator.scenario import Gpu

from llm_energy.results.codes import SAMPLER_OFF
from llm_energy.workflow.invalid import Invalid, invalid_results


@pytest.fixture
def results(tmp_path):
    """Five results: metered, damaged, without energy, out of memory, and of a control."""
    control = make_results.NO_METER.model_copy(update={"reason": SAMPLER_OFF})
    made = {
        "metered": make_results.make_result(cycle=1, metered=True),
        "damaged": make_results.make_result(cycle=2, metered=True),
        "lacking": make_results.make_result(cycle=3),
        "out_of_memory": make_results.make_result(cycle=4, out_of_memory=True),
        "control": make_results.make_result(cycle=5, energy=control),
    }
    paths = {name: make_results.path_of(result) for name, result in made.items()}
    for name, result in made.items():
        make_results.put_result(tmp_path / paths[name], result)
    (tmp_path / paths["damaged"]).write_text("{")
    return tmp_path, paths


def found(results, **options):
    folder, paths = results
    options = {"on_gpu": True, "elsewhere": False} | options
    return invalid_results(folder, [*paths.values(), "measurements/0/cycle-01.json"], **options)


@pytest.mark.parametrize("harm", ["gone", "changed", *damaged.NO_FILE])
def test_a_result_whose_raw_data_are_gone_or_changed_is_mended(tmp_path, harm):
    result = make_side_files.with_numbers(tmp_path, make_results.make_result(metered=True))
    path = make_results.path_of(result)
    make_results.put_result(tmp_path / path, result)
    options = {"on_gpu": True, "elsewhere": True}
    assert invalid_results(tmp_path, [path], **options) == Invalid([], 0)
    requests = tmp_path / result.side_files["requests"].path
    if harm == "gone":
        requests.unlink()
    elif harm == "changed":
        requests.write_bytes(requests.read_bytes()[:-1])
    else:
        damaged.replace(requests, harm)
    assert invalid_results(tmp_path, [path], **options) == Invalid([path], 0)


def test_without_a_sensor_only_what_cannot_be_used(results):
    assert found(results) == Invalid([results[1]["damaged"]], without_sensor=1)


def test_with_a_sensor_also_what_lacks_energy(results, simulate):
    simulate(Gpu())
    both = [results[1]["damaged"], results[1]["lacking"]]
    assert found(results) == Invalid(both, without_sensor=0)


def test_the_sensors_of_other_hosts_are_not_known(results):
    both = [results[1]["damaged"], results[1]["lacking"]]
    assert found(results, elsewhere=True) == Invalid(both, without_sensor=0)
