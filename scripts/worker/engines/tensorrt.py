"""TensorRT-LLM through its LLM API (PyTorch flow, release 1.2), as deployed: its workers are
processes of their own, requests are streamed to an event loop; reads HF folders.

It has never run on a GPU. It was written from the published API, and is tested against a stand-in
that has the published signatures (tests/worker/engines/tensorrt_stand_in).
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from worker.engines._feeding import serve_tasks
from worker.engines._printed import printed_bytes
from worker.engines._torch import TorchEngine
from worker.engines.base import (
    EngineError,
    OnTokens,
    OpenLoad,
    Option,
    Request,
    check_context,
)
from worker.workload import EngineConfig, Sampling


class TensorRT(TorchEngine):
    OPTIONS: ClassVar[Mapping[str, Option]] = {
        "tensor_parallel": Option(int, 1, "GPUs that share each layer", minimum=1),
        "kv_cache_fraction": Option(
            float,
            0.9,
            "share of the GPU memory left by the weights that keys and values get",
            minimum=0.0,
        ),
        "kv_cache_dtype": Option(
            str, "auto", "number format of keys and values", choices=("auto", "fp8")
        ),
        "batch_tokens": Option(
            int, 8192, "most tokens computed in one step (max_num_tokens)", minimum=1
        ),
        "chunked_prefill": Option(bool, False, "split prompts over several steps"),
        "cuda_graphs": Option(bool, True, "replay decode steps as CUDA graphs"),
        "overlap_scheduler": Option(bool, True, "schedule a step while the last one computes"),
        "attention_backend": Option(
            str, "TRTLLM", "attention kernels", choices=("TRTLLM", "FLASHINFER", "VANILLA")
        ),
    }
    MODEL_FORMATS: ClassVar[tuple[str, ...]] = ("hf",)
    LOAD_MODES: ClassVar[frozenset[str]] = frozenset({"waves", "closed", "open"})
    DTYPES: ClassVar[tuple[str, ...]] = ("auto", "bfloat16", "float16")
    MORE_OUT_OF_MEMORY_WORDS: ClassVar[tuple[str, ...]] = (
        "due to insufficient gpu memory",  # the executor, of what it could not create
        "must be large enough to process at least 1 sequence",  # the KV cache manager
        "too large to fit even a single sequence in the kv cache",
    )

    def __init__(self) -> None:
        self._llm: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def version(self) -> str:
        import tensorrt_llm

        return f"tensorrt_llm {tensorrt_llm.__version__}"

    def load(self, config: EngineConfig) -> dict[str, Any]:
        own_dtype = _check_model(config)
        self._loop = asyncio.new_event_loop()
        start = printed_bytes()
        try:
            self._llm = _make_llm(config)
        except Exception as error:
            self.raise_printed_cause(error, start)
            raise
        return _observe(self._llm.args) | {"dtype": own_dtype}

    def stream(self, take: Callable[[], Request | None], slots: int, on_tokens: OnTokens) -> None:
        assert self._loop is not None

        async def feed() -> None:
            while request := take():
                await self._generate(request, on_tokens)

        async def feed_all() -> None:
            await asyncio.gather(*(feed() for _ in range(slots)))

        self._loop.run_until_complete(feed_all())

    def serve(self, load: OpenLoad) -> None:
        assert self._loop is not None
        self._loop.run_until_complete(
            serve_tasks(load, lambda request: self._generate(request, load.on_tokens))
        )

    def close(self) -> None:
        if self._llm is not None:
            self._llm.shutdown()
        if self._loop is not None:
            self._loop.close()

    async def _generate(self, request: Request, on_tokens: OnTokens) -> None:
        # Inside a running loop: only there a request can be awaited.
        answer = self._llm.generate_async(
            list(request.prompt), _sampling_params(request), streaming=self.each_token
        )
        try:
            async for step in answer:
                if new := step.outputs[0].token_ids_diff:
                    on_tokens(request, list(new))
        except asyncio.CancelledError:  # the measurement is over; the engine goes on otherwise
            answer.abort()
            raise


def _make_llm(config: EngineConfig) -> Any:
    from tensorrt_llm import LLM
    from tensorrt_llm.llmapi import CudaGraphConfig, KvCacheConfig

    options = config.options
    return LLM(
        model=config.model_path,
        dtype=config.dtype,
        tensor_parallel_size=options["tensor_parallel"],
        max_batch_size=config.slots,
        max_seq_len=config.context_tokens,
        max_num_tokens=options["batch_tokens"],
        enable_chunked_prefill=options["chunked_prefill"],
        kv_cache_config=KvCacheConfig(
            enable_block_reuse=False,  # else repeated prompts are not computed again
            free_gpu_memory_fraction=options["kv_cache_fraction"],
            dtype=options["kv_cache_dtype"],
        ),
        cuda_graph_config=CudaGraphConfig(max_batch_size=config.slots, enable_padding=True)
        if options["cuda_graphs"]
        else None,
        disable_overlap_scheduler=not options["overlap_scheduler"],
        attn_backend=options["attention_backend"],
        stream_interval=1,  # every token by itself, so that each one has its time
    )


def _sampling_params(request: Request) -> Any:
    """Return sampling parameters of one request: the engine completes the object itself.

    `min_tokens` is not set. With `ignore_eos` no token ends a request early, and the engine would
    mask one logit in every step of every request, a kernel launch each, to forbid what cannot be.
    """
    from tensorrt_llm import SamplingParams

    return SamplingParams(
        max_tokens=request.output_tokens,
        ignore_eos=True,
        detokenize=False,
        **_drawing(request.sampling),
    )


def _drawing(sampling: Sampling) -> dict[str, Any]:
    if sampling.temperature == 0.0:
        return {"top_k": 1}  # greedy in every release; a temperature of 0 was not always
    return {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "seed": sampling.seed,
    }


def _check_model(config: EngineConfig) -> str | None:
    """Return the number format of the model's weights, from its files.

    Raises:
        EngineError: the engine would silently use another setting.
    """
    facts = json.loads((Path(config.model_path) / "config.json").read_text(encoding="utf-8"))
    facts |= facts.get("text_config") or {}  # of a multimodal model
    check_context(facts.get("max_position_embeddings"), config)
    dtype: str | None = facts.get("dtype", facts.get("torch_dtype"))
    if config.dtype not in ("auto", dtype):
        # The PyTorch flow takes a dtype and computes in the model's own.
        raise EngineError(f"TensorRT-LLM runs this model in its own dtype, {dtype}, only")
    return dtype


def _observe(arguments: Any) -> dict[str, Any]:
    """Return the live engine's settings, after its own checks and defaults."""
    cache, graphs = arguments.kv_cache_config, arguments.cuda_graph_config
    return {
        "flow": arguments.backend,
        "slots": arguments.max_batch_size,
        "context_tokens": arguments.max_seq_len,
        "tensor_parallel": arguments.tensor_parallel_size,
        "batch_tokens": arguments.max_num_tokens,
        "chunked_prefill": arguments.enable_chunked_prefill,
        "attention_backend": arguments.attn_backend,
        "overlap_scheduler": not arguments.disable_overlap_scheduler,
        "stream_interval": arguments.stream_interval,
        "kv_cache_fraction": cache.free_gpu_memory_fraction,
        "kv_cache_dtype": cache.dtype,
        "kv_cache_block_reuse": cache.enable_block_reuse,
        "kv_cache_block_tokens": cache.tokens_per_block,
        "cuda_graph_batch_sizes": list(graphs.batch_sizes) if graphs else [],
    }


ENGINE = TensorRT
