"""A real supervisor with the sleep engine, and the real engines where their environments are."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.worker.backend import ROOT, Backend, Peer


@pytest.fixture(autouse=True)
def _unchanged_environment() -> Iterator[None]:
    """Only a process's own entry sets its environment: no import and no load in another's does."""
    before = environment()
    yield
    assert environment() == before


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose name leaves room for a socket's name (107 characters in all)."""
    with tempfile.TemporaryDirectory(prefix="w", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def scripts_with_sleep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the worker that has the sleep engine among its engines."""
    scripts = tmp_path_factory.mktemp("scripts")
    shutil.copytree(ROOT / "scripts" / "worker", scripts / "worker")
    shutil.copy(ROOT / "tests/backends/sleep/sleep.py", scripts / "worker" / "engines")
    return scripts


@pytest.fixture
def backend(short_folder: Path, scripts_with_sleep: Path) -> Iterator[Backend]:
    """A running supervisor of the sleep backend."""
    backend = Backend(short_folder, scripts=scripts_with_sleep, python=sys.executable)
    yield backend
    backend.stop()


@pytest.fixture
def peer(backend: Backend) -> Iterator[Peer]:
    peer = backend.connect()
    yield peer
    peer.close()


@pytest.fixture
def sleep_engine(tmp_path: Path) -> dict[str, Any]:
    """Fields of a load request for the sleep engine with a tiny model."""
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF")
    return {
        "backend": "sleep",
        "model_path": str(model),
        "dtype": "auto",
        "context_tokens": 64,
        "slots": 2,
        "options": {},
    }


def required(variable: str) -> str:
    """A path from the environment; without it the test is skipped, or fails in a full run."""
    path = os.environ.get(variable)
    if path is None:
        message = f"needs a real engine: set {variable}"
        if os.environ.get("REQUIRE_ENGINES") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.fixture(scope="session")
def llamacpp_python() -> str:
    """Interpreter of an environment made from envs/llamacpp/requirements.txt."""
    return required("LLM_ENERGY_TEST_LLAMACPP_PYTHON")


@pytest.fixture(scope="session")
def pytorch_python() -> str:
    """Interpreter of an environment made from envs/pytorch/requirements.txt."""
    return required("LLM_ENERGY_TEST_PYTORCH_PYTHON")


@pytest.fixture(scope="session")
def openvino_python() -> str:
    """Interpreter of an environment made from envs/openvino/requirements.txt."""
    return required("LLM_ENERGY_TEST_OPENVINO_PYTHON")


@pytest.fixture(scope="session")
def vllm_python() -> str:
    """Interpreter of an environment made from envs/vllm/requirements.txt."""
    return required("LLM_ENERGY_TEST_VLLM_PYTHON")


@pytest.fixture(scope="session")
def vllm_server_python() -> str:
    """Interpreter of an environment made from envs/vllm-server/requirements.txt."""
    return required("LLM_ENERGY_TEST_VLLM_SERVER_PYTHON")


@pytest.fixture(scope="session")
def gguf() -> str:
    """The model of the default campaign, SmolLM2-135M-Instruct."""
    return required("LLM_ENERGY_TEST_GGUF")
