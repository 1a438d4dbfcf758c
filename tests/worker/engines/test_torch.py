"""The base of the engines on PyTorch, without PyTorch."""

import getpass
import os
from pathlib import Path
from typing import NoReturn

import pytest

from worker.engines import _torch
from worker.engines._torch import TorchEngine


class OutOfMemoryError(RuntimeError):
    """Named as PyTorch names its own."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("Worker failed with error 'CUDA out of memory. Tried to allocate 2 GiB'"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_out_of_memory_has_many_messages(error: Exception) -> None:
    assert TorchEngine.is_out_of_memory(error)


def test_out_of_memory_may_be_a_cause() -> None:
    error = RuntimeError("cannot load")
    error.__cause__ = OutOfMemoryError()
    assert TorchEngine.is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("CUDA error: invalid argument"), ValueError()])
def test_other_errors_are_others(error: Exception) -> None:
    assert not TorchEngine.is_out_of_memory(error)


def test_a_home_that_cannot_be_written_is_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_torch.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(_torch.Path, "home", lambda: Path("/nonexistent"))
    variables = TorchEngine.environment({"threads": 3})
    assert variables["HOME"] == str(tmp_path)
    assert variables["OMP_NUM_THREADS"] == "3"


def test_a_home_that_can_be_written_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_torch.Path, "home", lambda: tmp_path)
    assert TorchEngine.environment({}) == {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def test_a_user_without_a_name_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> NoReturn:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert TorchEngine.environment({})["USER"] == str(os.getuid())
