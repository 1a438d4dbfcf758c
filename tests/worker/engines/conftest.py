"""Supervisors of the real engines: started once, since loading takes seconds."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.worker.backend import ROOT, Backend, Peer, ask_oneshot

ENGINE_PATIENCE_S = 900.0
"""How long a real engine may take to load on a busy machine: some compile, and each engine process
of vLLM imports it once more."""

LEASE_S = 7200.0
"""Longer than all tests of one engine take on any machine."""

MEMORY_BYTES = 16 * 2**30
"""Far more than the model needs, so that a test may run out of it on any machine."""


class Engines:
    """Two supervisors of one backend, so that its usual settings are loaded once for a module.

    An engine with other settings is loaded in the second one, where it replaces the one before.
    """

    def __init__(self, usual: Peer, other: Peer, usual_key: str) -> None:
        self._usual, self._other, self._usual_key = usual, other, usual_key
        self._current = usual

    def load(self, *, key: str, **fields: Any) -> Any:
        self._current = self._usual if key == self._usual_key else self._other
        return self._current.load(key=key, **fields)

    def measure(self, **changes: Any) -> Any:
        """Measure with the engine of the last load."""
        return self._current.measure(**changes)

    def ask(self, op: str) -> dict[str, Any]:
        return self._current.ask(op)


@contextmanager
def supervisor(python: str) -> Iterator[Peer]:
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


def supervise(python: str, **usual: Any) -> Iterator[Engines]:
    """Engines of one backend; `usual` are the changes to `reference.load` that most tests make."""
    with supervisor(python) as first, supervisor(python) as second:
        yield Engines(first, second, repr(usual))


@pytest.fixture(scope="module")
def llamacpp(llamacpp_python: str) -> Iterator[Engines]:
    yield from supervise(llamacpp_python)


@pytest.fixture(scope="module")
def pytorch(pytorch_python: str) -> Iterator[Engines]:
    yield from supervise(pytorch_python)


@pytest.fixture(scope="module")
def vllm(vllm_python: str) -> Iterator[Engines]:
    yield from supervise(vllm_python)


@pytest.fixture(scope="module")
def vllm_server(vllm_server_python: str) -> Iterator[Engines]:
    """The environment of vLLM's own server, whose client launches it."""
    yield from supervise(vllm_server_python)


MakeGguf = Callable[..., Path]


@pytest.fixture
def make_gguf(pytorch_python: str, gguf: str, tmp_path: Path) -> MakeGguf:
    """Makes variants of the default campaign's model, with one layer and another chat template."""

    def make(template: str, *, tensors: int = 0) -> Path:
        if template not in ("own", "none"):
            (tmp_path / "template.jinja").write_text(template)
            template = str(tmp_path / "template.jinja")
        target = tmp_path / "small.gguf"
        script = Path(__file__).with_name("gguf_variant.py")
        command = [pytorch_python, script, gguf, target, template, str(tensors)]
        subprocess.run(command, check=True, capture_output=True)
        return next(iter(sorted(tmp_path.glob("small*.gguf"))))

    return make


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
