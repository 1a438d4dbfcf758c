"""Energy through the whole workflow, on a simulated GPU of AMD whose true energy is known."""

import pytest

from llm_energy.power.sources import read_sensors
from llm_energy.results.result import read_result
from tests.amd_smi_simulator.fixtures import amd_library
from tests.amd_smi_simulator.library import VARIABLE
from tests.amd_smi_simulator.scenario import UNITS_PER_JOULE, AmdGpu
from tests.integration.gpus import powered_tree
from tests.integration.test_energy import CAMPAIGN_ON_GPUS
from tests.nvml_simulator.scenario import constant, with_uuid

__all__ = ["amd_library"]

pytestmark = pytest.mark.long

IDLE_WATTS, LOADED_WATTS, TO_WRAP_JOULES = 100.0, 600.0, 3000.0
CAMPAIGN_ON_AMD = CAMPAIGN_ON_GPUS | {"experiments": {"nap": {"settings": {"batch_size": 2}}}}


BOARD = {"architecture": "908", "name": "Simulated Instinct"}
APU = {"architecture": "942", "name": "Simulated MI300A"}


@pytest.fixture(scope="module", params=[BOARD, APU], ids=["gpu_board", "module"])
def measured(request, tmp_path_factory, amd_library):
    """A GPU whose accumulator of 32 bits wraps after some seconds of load, and an idle one."""
    to_wrap = round(TO_WRAP_JOULES * UNITS_PER_JOULE) if request.param == BOARD else 2**32
    folder = tmp_path_factory.mktemp("amd")
    used = AmdGpu(
        idle_watts=IDLE_WATTS,
        knots=constant(LOADED_WATTS),
        thermal_s=0.5,
        accumulator_bits=32,
        accumulator_start=2**32 - to_wrap,
        **request.param,
        load_file=folder / "load",
        process_file=folder / "load.processes",
    )
    idle = with_uuid(AmdGpu(idle_watts=80.0, knots=constant(80.0), **request.param), 2)
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("ROCM_HOME", raising=False)
        tree, truth = powered_tree(
            CAMPAIGN_ON_AMD, [used, idle], folder, amd_library, environment, variable=VARIABLE
        )
        tree.run(check=True)
        yield tree, truth, "gpu_board" if request.param == BOARD else "module"


def test_the_joules_of_the_window_are_those_of_the_gpu(measured):
    tree, truth, scope = measured
    (path,) = tree.results()
    result = read_result(path)
    window, energy = result.window, result.energy
    true = truth.joules(0, window.start_monotonic_s, window.end_monotonic_s)
    assert energy.reason is None
    assert energy.energy_joules == pytest.approx(true, rel=0.002)
    assert energy.mean_power_watts == pytest.approx(LOADED_WATTS, rel=0.002)
    assert energy.loaded_idle_power_watts == pytest.approx(IDLE_WATTS, rel=0.02)
    assert (energy.scope, energy.method, energy.simulated) == (scope, "counter", True)


def test_the_accumulator_wrapped_while_it_was_measured(measured):
    tree, truth, scope = measured
    (path,) = tree.results()
    window = read_result(path).window
    counted = truth.joules(0, truth.epoch_s, window.end_monotonic_s)
    assert scope == "module" or counted > TO_WRAP_JOULES


def test_the_gpu_is_named_and_the_engine_is_no_foreign_process(measured):
    tree, truth, _ = measured
    (path,) = tree.results()
    result = read_result(path)
    counted = [device.device for device in result.energy.devices if device.counted]
    assert counted == result.environment.device_uuids == [truth.gpus[0].id]
    assert result.environment.device_model == truth.gpus[0].name
    codes = {flag.code for flag in result.flags}
    assert codes.isdisjoint({"contended", "gpu_use_unknown"})
    sensors = read_sensors(tree.folder / "results" / "nap")["devices"]
    assert set(sensors) == {gpu.id for gpu in truth.gpus}


def test_preflight_describes_it(measured):
    tree, truth, _ = measured
    printed = tree.run("preflight", check=True).stdout
    assert f"{truth.gpus[0].id}: {truth.gpus[0].name}, driver" in printed
    assert "nvidia" not in printed.lower()


def test_its_raw_data_give_the_same_again(measured):
    tree, _, _ = measured
    tree.run("verify", check=True)
