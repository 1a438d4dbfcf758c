"""What the engines on PyTorch share, without PyTorch."""

import os
from pathlib import Path

import pytest

from worker.engines import _torch


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
def test_want_of_memory_has_many_words(error: Exception) -> None:
    assert _torch.is_out_of_memory(error)


def test_want_of_memory_may_be_a_cause() -> None:
    error = RuntimeError("cannot load")
    error.__cause__ = OutOfMemoryError()
    assert _torch.is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("CUDA error: invalid argument"), ValueError()])
def test_other_errors_are_others(error: Exception) -> None:
    assert not _torch.is_out_of_memory(error)


def test_a_home_that_cannot_be_written_is_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_torch.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(os, "environ", os.environ.copy() | {"HOME": "/nonexistent"})
    _torch.prepare_process(threads=3)
    assert os.environ["HOME"] == str(tmp_path)
    assert os.environ["OMP_NUM_THREADS"] == "3"


def test_a_home_that_can_be_written_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy() | {"HOME": str(tmp_path)})
    _torch.prepare_process(threads=1)
    assert os.environ["HOME"] == str(tmp_path)
