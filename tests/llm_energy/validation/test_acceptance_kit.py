"""The kit's own ways to end: without an interpreter, a GPU or a load, and when a line fails."""

import json
import sys

import pytest
from tests.children import running
from tests.nvml_simulator import matmul
from tests.nvml_simulator.scenario import NOT_SUPPORTED, Fault, Gpu, constant
from tests.waiting import wait_until

from llm_energy.campaign.declared_inputs import HubSource, PathSource
from llm_energy.validation import acceptance as kit
from llm_energy.validation.gpu_campaign import Size, prepared, source_of
from llm_energy.validation.gpu_sensors import LoadError, Timing, load_on
from llm_energy.validation.kit_lines import Line

SHORT = Timing(idle_s=0.4, warm_s=0.1, loaded_s=1.0, windows_s=(0.3,))


def test_without_an_interpreter_it_says_what_to_name(capsys):
    assert kit.main(["--python", ""]) == 2
    assert "make test-gpu PYTHON=/path/to/python" in capsys.readouterr().out


def test_without_a_gpu_it_says_so_in_one_line(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NVML_SIMULATOR_SCENARIO", raising=False)
    assert kit.main(["--python", sys.executable]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("make test-gpu: the NVIDIA driver does not work")
    assert not (tmp_path / "results").exists()


def sensors_tried(python, folder) -> list[Line]:
    return list(kit.try_sensors(str(python), SHORT, folder))


def test_a_sensor_that_is_missing_is_a_line_that_fails(simulate, tmp_path, monkeypatch):
    monkeypatch.setenv("NVML_SIMULATOR_LOAD", str(tmp_path / "load"))
    gpu = Gpu(
        knots=constant(600.0),
        load_file=tmp_path / "load",
        faults=(Fault("instant", NOT_SUPPORTED),),
    )
    simulate(gpu)
    lines = sensors_tried(matmul.install(tmp_path / "bin"), tmp_path)
    verdicts = {line.subject: line.verdict for line in lines}
    assert verdicts["instant power"] == "FAIL"
    assert verdicts["energy counter"] == "PASS"
    assert verdicts["load above rest"] == "PASS"
    assert {path.name for path in tmp_path.glob("*.parquet")} == {
        f"{gpu.uuid}-idle.parquet",
        f"{gpu.uuid}-loaded.parquet",
    }


def test_a_load_that_does_not_run_is_a_line_that_fails(simulate, tmp_path):
    gpu = Gpu()
    simulate(gpu)
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'torch 2.13.0+cpu sees no GPU' >&2\nexit 1\n")
    python.chmod(0o755)
    (line,) = sensors_tried(python, tmp_path)
    assert (line.verdict, line.subject) == ("FAIL", "load")
    assert gpu.uuid in line.text
    assert "torch 2.13.0+cpu sees no GPU" in line.text


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo working; echo 'CUDA error' >&2", "ended by itself; its last line: CUDA error"),
        ("exit 3", "its last line: none"),
    ],
)
def test_a_load_says_why_it_ended(script, words, tmp_path):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    with pytest.raises(LoadError, match=words), load_on("GPU-1", python=str(python)):
        wait_until(lambda: not running(str(python)), what="it has ended")


def test_an_interpreter_that_is_not_there_is_reported():
    with pytest.raises(LoadError, match="No such file"), load_on("GPU-1", python="/nowhere"):
        pass


def test_a_line_that_failed_makes_the_exit_code(tmp_path, capsys):
    good, note, bad = Line("PASS", "a", "1"), Line("NOTE", "b", "2"), Line("FAIL", "c", "3")
    assert kit.conclude([good, note], tmp_path) == 0
    assert kit.conclude([good, note, bad], tmp_path) == 1
    assert "1 passed, 1 failed" in capsys.readouterr().out
    assert (tmp_path / "lines.txt").read_text() == "PASS  a: 1\nNOTE  b: 2\nFAIL  c: 3\n"
    assert json.loads((tmp_path / "lines.json").read_text())[2]["verdict"] == "FAIL"


def test_a_model_is_a_folder_or_a_repository(tmp_path):
    assert source_of(str(tmp_path)) == PathSource(path=str(tmp_path))
    assert source_of("./nowhere").path.endswith("/nowhere")
    assert source_of("Qwen/Qwen3-0.6B") == HubSource(hub="Qwen/Qwen3-0.6B")


def test_an_interpreter_without_torch_ends_the_campaign_in_one_line(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text("{}")
    campaign, line = prepared(
        "c",
        python=sys.executable,
        model=str(tmp_path / "model"),
        size=Size(),
        log=tmp_path / "log",
    )
    assert campaign is None
    assert (line.verdict, line.subject) == ("FAIL", "interpreter and model")
    assert "\n" not in line.text
    assert "No module named 'torch'" in line.text
