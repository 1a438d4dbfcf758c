"""The adapter of TensorRT-LLM on a stand-in with the published signatures: no GPU, no model."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.worker.engines.tensorrt import STAND_IN, expected, model

from worker.engines.base import EngineError, Request, resolve_options
from worker.engines.tensorrt import TensorRT
from worker.workload import EngineConfig, Sampling

__all__ = ["model"]


PROMPT = (100, 150)
"""Its greedy output passes the end of text (token 0) after 6 tokens."""


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The stand-in as the module `tensorrt_llm` of this process."""
    monkeypatch.syspath_prepend(str(STAND_IN))
    yield importlib.import_module("tensorrt_llm")
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorrt_llm"]:
        del sys.modules[name]


@pytest.fixture
def loaded(api: Any, model: Callable[..., Path]) -> Iterator[Callable[..., Any]]:
    """Loads an engine: returns it, its LLM, and what was observed of it."""
    engines: list[TensorRT] = []

    def load(options: dict[str, Any] | None = None, facts: Any = None, **changes: Any) -> Any:
        engine = TensorRT()
        engines.append(engine)
        given = resolve_options(TensorRT.OPTIONS, options or {})
        fields: dict[str, Any] = {"backend": "tensorrt", "model_path": str(model(**(facts or {})))}
        fields |= {"dtype": "auto", "context_tokens": 256, "slots": 4, "options": given}
        observed = engine.load(EngineConfig(**fields | changes))
        return engine, api.LLM.made[-1], observed

    yield load
    for engine in engines:
        engine.close()


def request(number: int = 0, prompt: tuple[int, ...] = PROMPT, **changes: Any) -> Request:
    fields: dict[str, Any] = {"output_tokens": 8, "sampling": Sampling()}
    return Request(id=number, prompt=prompt, **fields | changes)


class Tokens:
    """Takes tokens as the worker does; one entry for each call."""

    def __init__(self) -> None:
        self.calls: dict[int, list[list[int]]] = {}

    def __call__(self, request: Request, ids: Any) -> None:
        self.calls.setdefault(request.id, []).append(list(ids))

    def of(self, number: int) -> list[int]:
        return [token for call in self.calls[number] for token in call]


def test_the_stand_in_knows_no_other_keywords_than_the_published(api: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="LLM got invalid argument: max_tokens"):
        api.LLM(str(tmp_path), max_tokens=1)
    with pytest.raises(TypeError, match="unexpected keyword"):
        api.SamplingParams(max_new_tokens=1)
    llmapi = importlib.import_module("tensorrt_llm.llmapi")
    for configuration in (llmapi.KvCacheConfig, llmapi.CudaGraphConfig):
        with pytest.raises(ValidationError):
            configuration(fraction=0.5)


def test_says_its_version_without_a_model(api: Any) -> None:
    assert TensorRT().version() == f"tensorrt_llm {api.__version__}"


def test_observes_the_live_engine(loaded: Callable[..., Any]) -> None:
    _, _, observed = loaded()
    assert observed == {
        "flow": "pytorch",
        "dtype": "bfloat16",
        "slots": 4,
        "context_tokens": 256,
        "tensor_parallel": 1,
        "batch_tokens": 8192,
        "chunked_prefill": False,
        "attention_backend": "TRTLLM",
        "overlap_scheduler": True,
        "stream_interval": 1,
        "kv_cache_fraction": 0.9,
        "kv_cache_dtype": "auto",
        "kv_cache_block_reuse": False,
        "kv_cache_block_tokens": 32,
        "cuda_graph_batch_sizes": [1, 2, 4],
    }


def test_every_option_reaches_the_engine(loaded: Callable[..., Any]) -> None:
    options = {
        "tensor_parallel": 2,
        "kv_cache_fraction": 0.5,
        "kv_cache_dtype": "fp8",
        "batch_tokens": 512,
        "chunked_prefill": True,
        "cuda_graphs": False,
        "overlap_scheduler": False,
        "attention_backend": "FLASHINFER",
    }
    assert set(options) == set(TensorRT.OPTIONS)
    _, llm, observed = loaded(options)
    assert {name: observed[name] for name in options if name != "cuda_graphs"} == {
        name: value for name, value in options.items() if name != "cuda_graphs"
    }
    assert observed["cuda_graph_batch_sizes"] == []
    assert llm.args.cuda_graph_config is None


def test_a_wave_gives_each_request_its_tokens_one_by_one(loaded: Callable[..., Any]) -> None:
    engine, llm, _ = loaded()
    tokens = Tokens()
    engine.wave([request(0), request(1, (5,)), request(2, (6, 7))], tokens)
    for number, prompt in enumerate([PROMPT, (5,), (6, 7)]):
        assert tokens.calls[number] == [[token] for token in expected(prompt, 8)]
    assert 0 in tokens.of(0)[:-1]  # the end of text ended nothing
    assert [ids for ids, _, _ in llm.submitted] == [[100, 150], [5], [6, 7]]
    assert all(streaming for _, _, streaming in llm.submitted)


def test_tokens_come_together_where_their_times_do_not_matter(loaded: Callable[..., Any]) -> None:
    engine, _, _ = loaded()
    engine.each_token = False
    tokens = Tokens()
    engine.wave([request()], tokens)
    assert tokens.calls[0] == [expected(PROMPT, 8)]


def test_greedy_sampling_is_requested_explicitly(loaded: Callable[..., Any]) -> None:
    engine, llm, _ = loaded()
    engine.wave([request()], Tokens())
    sampling = llm.submitted[0][1]
    assert (sampling.top_k, sampling.temperature, sampling.top_p) == (1, None, None)
    assert sampling.ignore_eos
    assert not sampling.detokenize


def test_sampling_is_repeatable_by_its_seed(loaded: Callable[..., Any]) -> None:
    engine, llm, _ = loaded()
    draws = []
    for seed in (1, 1, 2):
        tokens = Tokens()
        warm = Sampling(temperature=0.8, top_p=0.9, top_k=50, seed=seed)
        engine.wave([request(sampling=warm)], tokens)
        draws.append(tokens.of(0))
    assert draws[0] == draws[1] != draws[2]
    sampling = llm.submitted[0][1]
    given = (sampling.temperature, sampling.top_p, sampling.top_k, sampling.seed)
    assert given == (0.8, 0.9, 50, 1)


def test_a_stream_keeps_its_slots_full(loaded: Callable[..., Any]) -> None:
    engine, llm, _ = loaded()
    waiting = [request(number, (number + 1,)) for number in range(7)]
    in_flight, most = 0, 0
    tokens = Tokens()

    def take() -> Request | None:
        nonlocal in_flight, most
        in_flight = len(llm.submitted) - sum(len(tokens.of(n)) == 8 for n in tokens.calls) + 1
        most = max(most, in_flight)
        return waiting.pop(0) if waiting else None

    engine.stream(take, 3, tokens)
    assert [tokens.of(number) for number in range(7)] == [expected((n + 1,), 8) for n in range(7)]
    assert most == 3


def test_out_of_memory_while_loading(loaded: Callable[..., Any]) -> None:
    with pytest.raises(RuntimeError, match="worker returned error") as failure:
        loaded(facts={"stand_in_memory_tokens": 100})
    assert TensorRT.is_out_of_memory(failure.value)


def test_out_of_memory_while_generating(loaded: Callable[..., Any]) -> None:
    engine, _, _ = loaded(facts={"stand_in_memory_tokens": 256})
    with pytest.raises(RuntimeError, match="CUDA out of memory") as failure:
        engine.wave([request(0, (1,) * 200), request(1, (1,) * 200)], Tokens())
    assert TensorRT.is_out_of_memory(failure.value)


def test_other_errors_are_no_want_of_memory() -> None:
    assert not TensorRT.is_out_of_memory(RuntimeError("Executor worker returned error"))
    assert not TensorRT.is_out_of_memory(ValueError("require top_k >= 0, got top_k=-1"))


def test_a_prompt_beyond_a_step_is_refused_in_the_engines_words(
    loaded: Callable[..., Any],
) -> None:
    engine, _, _ = loaded({"batch_tokens": 16})
    with pytest.raises(ValueError, match="should not exceed max_num_tokens"):
        engine.wave([request(prompt=(1,) * 20)], Tokens())
    engine, _, _ = loaded({"batch_tokens": 16, "chunked_prefill": True})
    engine.wave([request(prompt=(1,) * 20)], Tokens())


def test_a_context_beyond_the_models_is_an_error(loaded: Callable[..., Any]) -> None:
    with pytest.raises(EngineError, match="a context of 4096 tokens, context_tokens asks for 8192"):
        loaded(context_tokens=8192)


def test_the_context_of_a_multimodal_model_is_that_of_its_text_part(
    loaded: Callable[..., Any],
) -> None:
    text = {"max_position_embeddings": 128, "dtype": "float16"}
    facts = {"max_position_embeddings": None, "torch_dtype": None, "text_config": text}
    assert loaded(facts=facts, context_tokens=128)[2]["dtype"] == "float16"
    with pytest.raises(EngineError, match="a context of 128 tokens, context_tokens asks for 129"):
        loaded(facts=facts, context_tokens=129)


def test_a_dtype_that_the_engine_would_ignore_is_an_error(loaded: Callable[..., Any]) -> None:
    with pytest.raises(EngineError, match="in its own dtype, bfloat16, only"):
        loaded(dtype="float16")
    assert loaded(dtype="bfloat16")[2]["dtype"] == "bfloat16"


def test_closing_shuts_the_engine_down(loaded: Callable[..., Any]) -> None:
    engine, llm, _ = loaded()
    engine.close()
    with pytest.raises(RuntimeError, match="shutting down"):
        llm.generate_async([1])
