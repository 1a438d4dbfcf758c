"""Supervisors of the real engines: started once, since loading takes seconds."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.worker.backend import PATIENCE_S, ROOT, Backend, Peer, ask_oneshot

VLLM_PATIENCE_S = 600.0
"""How long vLLM may take to load; its engine processes import it once more each."""

LEASE_S = 7200.0
"""Longer than all tests of one engine take on any machine."""

MEMORY_BYTES = 16 * 2**30
"""Far more than the model needs, so that a test may run out of it on any machine."""


def supervise(python: str, *, patience_s: float = PATIENCE_S) -> Iterator[Peer]:
    with tempfile.TemporaryDirectory(prefix="w", dir="/tmp") as folder:
        backend = Backend(
            Path(folder),
            scripts=ROOT / "scripts",
            python=python,
            lease_s=LEASE_S,
            memory_bytes=MEMORY_BYTES,
        )
        peer = backend.connect(patience_s)
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
    yield from supervise(vllm_python, patience_s=VLLM_PATIENCE_S)


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
