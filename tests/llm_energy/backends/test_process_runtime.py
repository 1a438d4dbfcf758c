"""The environment of an engine: of the user's, without secrets of registries and controllers."""

import json
import sys
from pathlib import Path

import pytest

from llm_energy.backends.process_runtime import ProcessRuntime, worker_environment
from llm_energy.backends.runtime import (
    BackendError,
    ContainerSettings,
    DeclaredBackend,
    secrets_of,
)
from llm_energy.campaign.backend_settings import Container
from llm_energy.runs.run import Run
from llm_energy.system.cache import environment_marker

SCRIPTS = Path(__file__).parents[3] / "scripts"


def test_secrets_are_left_out(monkeypatch):
    for name in ("HF_TOKEN", "PIP_INDEX_URL", "REDFISH_PASSWORD", "OPENAI_API_KEY", "LIVE_TOKEN"):
        monkeypatch.setenv(name, "s3cret")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    found = worker_environment()
    assert "s3cret" not in found.values()
    assert found["OMP_NUM_THREADS"] == "2"
    assert worker_environment(secrets=["LIVE_TOKEN"])["LIVE_TOKEN"] == "s3cret"


def test_an_engine_has_the_variables_of_the_run_whoever_starts_it(tmp_path, monkeypatch):
    """Snakemake sets those of threads in its jobs, which start what is missing or died."""
    monkeypatch.chdir(tmp_path)
    given = {"OMP_NUM_THREADS": "2", "LIVE_TOKEN": "its", "VLLM_API_KEY": "its", "A_TOKEN": "no"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    marker = environment_marker("bare")
    python = marker.parent.absolute() / "venv/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to(Path(sys.executable).resolve())
    ready = {"kind": "venv", "python": str(python), "python_version": "3", "packages": {}}
    marker.write_text(json.dumps(ready | {"engine_version": "0", "environment_hash": "0"}))
    run = Run.create(campaign="c", results=Path("results/c"), scripts=SCRIPTS)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    container = ContainerSettings(**Container().model_dump())
    secrets = ("LIVE_TOKEN", "VLLM_API_KEY")
    declared = DeclaredBackend("bare", "process", "bare", container, (), secrets=secrets)
    runtime = ProcessRuntime()
    record = runtime.start(declared, run)
    try:
        content = Path(f"/proc/{record.handle['process']['pid']}/environ").read_bytes()
    finally:
        runtime.stop(record)
        run.remove()
    found = dict(entry.split("=", 1) for entry in content.decode().split("\0") if entry)
    assert found["OMP_NUM_THREADS"] == "2"
    assert found["LIVE_TOKEN"] == found["VLLM_API_KEY"] == "its"
    assert not found.keys() & {"MKL_NUM_THREADS", "A_TOKEN", "LLM_ENERGY_RUN"}


@pytest.mark.parametrize("value", [None, ""])
def test_an_engine_does_not_start_without_a_variable_that_it_needs(monkeypatch, value):
    if value is None:
        monkeypatch.delenv("MINE_KEY", raising=False)
    else:
        monkeypatch.setenv("MINE_KEY", value)
    container = ContainerSettings(**Container().model_dump())
    declared = DeclaredBackend("bare", "process", "bare", container, (), secrets=("MINE_KEY",))
    with pytest.raises(BackendError) as error:
        secrets_of(declared)
    assert error.value.reason == "backend_refused"
    assert str(error.value) == "`bare` needs the environment variable MINE_KEY, which is not set"
