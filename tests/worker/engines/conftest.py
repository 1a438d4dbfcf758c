"""Supervisors of the real engines: started once, since loading takes seconds."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.worker.backend import ROOT, Backend, Peer, ask_oneshot

MEMORY_BYTES = 16 * 2**30
"""Far more than the model needs, so that a test may run out of it on any machine."""


def supervise(python: str) -> Iterator[Peer]:
    with tempfile.TemporaryDirectory(prefix="w", dir="/tmp") as folder:
        backend = Backend(
            Path(folder), scripts=ROOT / "scripts", python=python, memory_bytes=MEMORY_BYTES
        )
        peer = backend.connect()
        yield peer
        peer.close()
        backend.stop()


@pytest.fixture(scope="module")
def llamacpp(llamacpp_python: str) -> Iterator[Peer]:
    yield from supervise(llamacpp_python)


@pytest.fixture(scope="module")
def pytorch(pytorch_python: str) -> Iterator[Peer]:
    yield from supervise(pytorch_python)


@pytest.fixture(scope="session")
def hf_folder(tmp_path_factory: pytest.TempPathFactory, pytorch_python: str, gguf: str) -> Path:
    """The model of the default campaign as a Transformers folder, converted here."""
    target = tmp_path_factory.mktemp("hf")
    question = {"op": "convert", "source": gguf, "target": str(target), "dtype": "bfloat16"}
    answer, code = ask_oneshot(question, python=pytorch_python)
    assert code == 0, answer
    return target
