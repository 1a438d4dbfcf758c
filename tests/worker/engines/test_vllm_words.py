"""The adapter of vLLM translates vLLM's outputs and errors, without vLLM."""

from types import SimpleNamespace

import pytest

from worker.engines import _torch, vllm
from worker.engines._vllm_loops import _hand_over
from worker.engines.base import EngineError, Request
from worker.workload import Sampling

REQUEST = Request(id=0, prompt=(1, 2, 3), output_tokens=2, sampling=Sampling())


def output(*ids: int, finished: bool = True, cached: int | None = 0) -> SimpleNamespace:
    completion = SimpleNamespace(token_ids=ids)
    return SimpleNamespace(outputs=[completion], finished=finished, num_cached_tokens=cached)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("No available memory for the cache blocks. Try increasing `gpu_memory_util"),
        ValueError(
            "8.0 GiB KV cache is needed, which is larger than the available KV cache memory"
        ),
        ValueError("Available memory on node 0 is less than requested memory for kv (9 GiB)"),
        RuntimeError(
            "CUDA out of memory occurred when warming up sampler with 1024 dummy requests"
        ),
    ],
)
def test_out_of_memory_is_recognized(error: Exception) -> None:
    assert vllm.ENGINE.is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("Free memory on device cuda:0 is less than desired GPU memory utilization"),
        ValueError("User-specified max_model_len (16384) is greater than the derived"),
    ],
)
def test_memory_that_others_hold_is_another_error(error: Exception) -> None:
    assert not vllm.ENGINE.is_out_of_memory(error)


def test_the_cause_is_what_a_child_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = ["(EngineCore pid=7) Traceback", "(EngineCore pid=7) CUDA out of memory. Tried 2 GiB"]
    monkeypatch.setattr(_torch, "printed_since", lambda start: printed[start:])
    with pytest.raises(MemoryError, match="CUDA out of memory"):
        vllm.ENGINE.raise_printed_cause(RuntimeError("Engine core initialization failed"), 0)
    vllm.ENGINE.raise_printed_cause(RuntimeError("Engine core initialization failed"), 2)


def test_tokens_are_handed_over_as_they_come() -> None:
    given: list[tuple[int, list[int]]] = []
    for out in (output(5, finished=False, cached=None), output(finished=False), output(6)):
        _hand_over(out, REQUEST, lambda request, ids: given.append((request.id, list(ids))))
    assert given == [(0, [5]), (0, [6])]


def test_a_prompt_out_of_a_cache_is_refused() -> None:
    with pytest.raises(EngineError, match="took 2 of 3 prompt tokens from a cache"):
        _hand_over(output(6, cached=2), REQUEST, lambda _request, _ids: None)
