"""Supervisors of the real engines: started once, since loading takes seconds."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.worker.backend import ROOT, Backend, Peer, ask_oneshot

ENGINE_PATIENCE_S = 900.0
"""How long a real engine may take to load on a busy machine: some compile, and each engine process
of vLLM imports it once more."""

LEASE_S = 7200.0
"""Longer than all tests of one engine take on any machine."""

MEMORY_BYTES = 16 * 2**30
"""Far more than the model needs, so that a test may run out of it on any machine."""


def supervise(python: str) -> Iterator[Peer]:
    with tempfile.TemporaryDirectory(prefix="w", dir="/tmp") as folder:
        backend = Backend(
            Path(folder),
            scripts=ROOT / "scripts",
            python=python,
            lease_s=LEASE_S,
            memory_bytes=MEMORY_BYTES,
        )
        peer = backend.connect(ENGINE_PATIENCE_S)
        yield peer
        peer.close()
        backend.stop()


@pytest.fixture(scope="module")
def llamacpp(llamacpp_python: str) -> Iterator[Peer]:
    yield from supervise(llamacpp_python)


@pytest.fixture(scope="module")
def pytorch(pytorch_python: str) -> Iterator[Peer]:
    yield from supervise(pytorch_python)


@pytest.fixture(scope="module")
def vllm(vllm_python: str) -> Iterator[Peer]:
    yield from supervise(vllm_python)


@pytest.fixture(scope="session")
def hf_folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The model of the default campaign as a Transformers folder: ready, or converted here."""
    if ready := os.environ.get("LLM_ENERGY_TEST_HF_MODEL"):
        return Path(ready)
    python, gguf = map(request.getfixturevalue, ("pytorch_python", "gguf"))
    target = tmp_path_factory.mktemp("hf")
    question = {"op": "convert", "source": gguf, "target": str(target), "dtype": "bfloat16"}
    answer, code = ask_oneshot(question, python=python)
    assert code == 0, answer
    return target
