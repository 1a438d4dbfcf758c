"""`make test-gpu` from its first line to its last, on simulated GPUs with a stand-in engine."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.integration.gpus import powered_tree
from tests.integration.test_energy import CAMPAIGN_ON_GPUS
from tests.integration.workflow import PATIENCE_S, ROOT
from tests.nvml_simulator import matmul
from tests.nvml_simulator.fixtures import nvml_library
from tests.nvml_simulator.scenario import Gpu, noise

__all__ = ["nvml_library"]

pytestmark = pytest.mark.integration

ENGINE = '''
"""Stands for PyTorch on a GPU: sleeps, and drives the simulated GPUs."""

from worker.engines.base import Option
from worker.engines.sleep import SleepEngine
from worker.powered import powered


class PyTorch(SleepEngine):
    OPTIONS = {
        **SleepEngine.OPTIONS,
        "device": Option(str, "auto", "as PyTorch's", choices=("auto", "cpu", "cuda")),
        "token_s": Option(float, 0.05, "time for a token, in s"),
    }
    MODEL_FORMATS = ("hf",)
    LOAD_MODES = frozenset({"waves"})
    DTYPES = ("auto", "bfloat16")


ENGINE = powered(PyTorch)
'''


@pytest.fixture(scope="module")
def tried(tmp_path_factory, nvml_library):
    """The kit's tree, what the kit printed, and how it ended."""
    folder = tmp_path_factory.mktemp("acceptance")
    gpu = Gpu(
        knots=noise(mean=600.0, deviation=1.0, period_s=60.0, step_s=0.1, seed=1),
        period_s=60.0,
        counter_update_s=0.01,
        thermal_s=0.5,
        load_file=folder / "load",
        process_file=folder / "load.processes",
    )
    with pytest.MonkeyPatch.context() as environment:
        tree, _ = powered_tree(CAMPAIGN_ON_GPUS, [gpu], folder, nvml_library, environment)
        (tree.folder / "scripts/worker/engines/pytorch.py").write_text(ENGINE)
        (tree.folder / ".venv").symlink_to(ROOT / ".venv")
        python = matmul.install(folder / "bin")
        done = make(tree.folder, f"PYTHON={python}", f"MODEL={model(folder)}")
    return tree, done


def model(folder: Path) -> Path:
    """A folder that looks like a model."""
    there = folder / "model"
    there.mkdir()
    (there / "config.json").write_text("{}")
    (there / "tokenizer.json").write_text("{}")
    (there / "model.safetensors").write_bytes(b"weights, or so the engine is told")
    return there


def make(folder: Path, *given: str) -> subprocess.CompletedProcess[str]:
    """The real target, without its set-up."""
    return subprocess.run(
        ["make", "-o", "setup", "test-gpu", "ACCEPTANCE=--quick", *given],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
    )


def lines(tree) -> list[dict[str, str]]:
    (file,) = (tree.folder / "results").glob("gpu-acceptance-*/acceptance/lines.json")
    found: list[dict[str, str]] = json.loads(file.read_text())
    return found


def test_every_line_passes_on_a_gpu_that_is_well(tried):
    tree, done = tried
    failed = [line["subject"] for line in lines(tree) if line["verdict"] == "FAIL"]
    assert failed in ([], ["one reading"]), done.stdout  # that one is slow on a busy machine
    assert (done.returncode != 0) == bool(failed), done.stdout


def test_what_is_printed_is_what_is_kept(tried):
    tree, done = tried
    for line in lines(tree):
        assert f"{line['verdict']}  {line['subject']}: {line['text']}" in done.stdout
    assert "failed; to be sent back: results/gpu-acceptance-" in done.stdout


def test_it_says_that_it_was_simulated(tried):
    tree, _ = tried
    (gpu,) = [line for line in lines(tree) if line["subject"] == "GPU"]
    assert "ITS SENSORS ARE SIMULATED" in gpu["text"]


def test_all_that_is_to_be_sent_back_lies_in_one_folder(tried):
    tree, _ = tried
    (folder,) = (tree.folder / "results").glob("gpu-acceptance-*")
    names = {path.name for path in (folder / "acceptance").iterdir()}
    assert {"campaign.yaml", "snakemake.log", "lines.txt", "lines.json"} <= names
    assert len([name for name in names if name.endswith("-loaded.parquet")]) == 1
    assert (folder / "report.html").exists()


def test_it_leaves_no_run_and_no_process(tried):
    tree, _ = tried
    assert tree.runs() == []
    assert tree.processes() == []
