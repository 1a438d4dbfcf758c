"""vLLM with its continuous batching; reads Transformers folders."""

import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from worker.engines._printed import printed_bytes
from worker.engines._torch import TorchEngine
from worker.engines._vllm_loops import LOOPS, Loop, Probe
from worker.engines.base import OnTokens, OpenLoad, Option, Request
from worker.workload import EngineConfig

GIB = 2**30


class Vllm(TorchEngine):
    OPTIONS: ClassVar[Mapping[str, Option]] = {
        "mode": Option(
            str,
            "auto",
            "async: with vLLM's own engine process, as it is deployed; in_process: without; "
            "auto: async on a GPU",
            choices=("auto", "in_process", "async"),
        ),
        "tensor_parallel": Option(int, 1, "devices that share each layer", minimum=1),
        "execution": Option(
            str,
            "auto",
            "compiled (with captured graphs on a GPU) or eager; auto: compiled on a GPU",
            choices=("auto", "eager", "compiled"),
        ),
        "attention_backend": Option(str, "auto", "vLLM's name of the kernels, such as FLASH_ATTN"),
        "quantization": Option(
            str,
            "auto",
            "how the weights are read; auto: as the model's files say",
            choices=(
                *("auto", "awq", "awq_marlin", "gptq", "gptq_marlin", "compressed-tensors"),
                *("fp8", "experts_int8", "torchao", "mxfp4"),
            ),
        ),
        "kv_cache_dtype": Option(
            str,
            "auto",
            "number format of keys and values; auto: the model's",
            choices=("auto", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2"),
        ),
        "kv_cache_gib": Option(
            float,
            0.0,
            "memory for keys and values; 0: what gpu_memory_utilization leaves, and on a CPU what "
            "all slots need",
            minimum=0.0,
        ),
        "gpu_memory_utilization": Option(
            float, 0.9, "share of a GPU's memory that vLLM may take in all", minimum=0.0
        ),
        "block_size": Option(int, 0, "tokens of a block of keys and values; 0: vLLM's", minimum=0),
        "chunked_prefill": Option(bool, True, "prompts may be computed in parts"),
        "batch_tokens": Option(
            int,
            0,
            "most tokens computed in one step (max_num_batched_tokens); 0: vLLM's",
            minimum=0,
        ),
        "threads": Option(int, 1, "CPU threads of each worker on a CPU", minimum=1),
    }
    MODEL_FORMATS: ClassVar[tuple[str, ...]] = ("hf",)
    LOAD_MODES: ClassVar[frozenset[str]] = frozenset({"waves", "closed", "open"})
    DTYPES: ClassVar[tuple[str, ...]] = ("auto", "float32", "bfloat16", "float16")
    MORE_OUT_OF_MEMORY_WORDS: ClassVar[tuple[str, ...]] = (
        "no available memory for the cache blocks",
        "larger than the available kv cache memory",
        "is less than requested memory for kv",
    )
    """vLLM's messages where the settings leave no room for keys and values. Its `less than desired
    ... utilization` is not among them: another process holds the memory, and a retry may succeed.
    """

    def __init__(self) -> None:
        self._loop: Loop | None = None
        self._sockets: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def environment(cls, options: Mapping[str, Any]) -> dict[str, str]:
        return super().environment(options) | {
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_LOGGING_LEVEL": "WARNING",
            # Binding threads to cores needs rights that a container does not give.
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            # This process has threads: a fork of it could hang.
            "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
        }

    def version(self) -> str:
        import torch
        import vllm

        # Not importlib.metadata: the build for CPUs is another distribution.
        return f"vllm {vllm.__version__}, torch {torch.__version__}"

    def load(self, config: EngineConfig) -> dict[str, Any]:
        from vllm.platforms import current_platform

        on_cpu = current_platform.is_cpu()
        mode = config.options["mode"]
        if mode == "auto":
            mode = "in_process" if on_cpu else "async"
        # Read when vLLM makes its engine; the mode depends on the platform that vLLM found.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "1" if mode == "async" else "0"
        self._sockets = tempfile.TemporaryDirectory(prefix="vllm")
        os.environ["VLLM_RPC_BASE_PATH"] = self._sockets.name
        start = printed_bytes()
        try:
            vllm_config = _vllm_config(config, on_cpu=on_cpu)
            self._loop = LOOPS[mode](vllm_config)
        except Exception as error:
            self.raise_printed_cause(error, start)
            raise
        return _observe(vllm_config, self._loop.call_workers(Probe.observe_worker.__name__), mode)

    def stream(self, take: Callable[[], Request | None], slots: int, on_tokens: OnTokens) -> None:
        self._drive(lambda loop: loop.run(take, slots, on_tokens))

    def serve(self, load: OpenLoad) -> None:
        self._drive(lambda loop: loop.serve(load))

    def _drive(self, run: Callable[[Loop], None]) -> None:
        assert self._loop is not None
        self._loop.each_token = self.each_token
        start = printed_bytes()
        try:
            run(self._loop)
        except Exception as error:
            self.raise_printed_cause(error, start)
            raise

    def close(self) -> None:
        if self._loop is not None:
            self._loop.close()
        if self._sockets is not None:
            self._sockets.cleanup()


def _vllm_config(config: EngineConfig, *, on_cpu: bool) -> Any:
    from vllm.engine.arg_utils import EngineArgs

    options = config.options
    execution = options["execution"]
    attention = options["attention_backend"]
    arguments = EngineArgs(
        model=config.model_path,
        dtype=config.dtype,
        max_model_len=config.context_tokens,
        max_num_seqs=config.slots,
        seed=config.seed,
        tensor_parallel_size=options["tensor_parallel"],
        enforce_eager=execution == "eager" or (execution == "auto" and on_cpu),
        quantization=None if options["quantization"] == "auto" else options["quantization"],
        kv_cache_dtype=options["kv_cache_dtype"],
        kv_cache_memory_bytes=int(options["kv_cache_gib"] * GIB) or None,
        gpu_memory_utilization=options["gpu_memory_utilization"],
        block_size=options["block_size"] or None,
        enable_chunked_prefill=options["chunked_prefill"],
        max_num_batched_tokens=options["batch_tokens"] or None,
        attention_config={} if attention == "auto" else {"backend": attention},
        enable_prefix_caching=False,
        worker_extension_cls=f"{Probe.__module__}.{Probe.__name__}",
    )
    vllm_config = arguments.create_engine_config()
    if on_cpu and not options["kv_cache_gib"]:
        # vLLM would take the greater part of the machine's memory.
        cache_bytes = _cache_bytes(vllm_config, slots=config.slots)
        vllm_config.cache_config.kv_cache_memory_bytes = cache_bytes
    return vllm_config


def _cache_bytes(vllm_config: Any, *, slots: int) -> int:
    """Return the memory for keys and values of `slots` sequences as long as the context."""
    import torch

    model, parallel = vllm_config.model_config, vllm_config.parallel_config
    cache = vllm_config.cache_config
    blocks = slots * math.ceil(model.max_model_len / cache.block_size) + 1  # vLLM keeps one empty
    token_values = (
        2
        * model.get_num_layers(parallel)
        * model.get_num_kv_heads(parallel)
        * model.get_head_size()
    )
    sizes = {"auto": model.dtype.itemsize, "bfloat16": torch.bfloat16.itemsize}
    return int(blocks * cache.block_size * token_values * sizes.get(cache.cache_dtype, 1))


def _observe(vllm_config: Any, workers: Sequence[Mapping[str, Any]], mode: str) -> dict[str, Any]:
    """Return the live engine's settings, from its own configuration and its workers."""
    model, cache = vllm_config.model_config, vllm_config.cache_config
    parallel, scheduler = vllm_config.parallel_config, vllm_config.scheduler_config
    compilation = vllm_config.compilation_config
    return {
        "mode": mode,
        "device": ", ".join(sorted({worker["device"] for worker in workers})),
        "threads": workers[0]["threads"],
        "attention_backend": workers[0]["attention_backend"],
        "tensor_parallel": parallel.tensor_parallel_size,
        "workers": len(workers),
        "executor": str(parallel.distributed_executor_backend),
        "dtype": str(model.dtype).removeprefix("torch."),
        "quantization": model.quantization,
        "context_tokens": model.max_model_len,
        "slots": scheduler.max_num_seqs,
        "batch_tokens": scheduler.max_num_batched_tokens,
        "chunked_prefill": scheduler.enable_chunked_prefill,
        "async_scheduling": scheduler.async_scheduling,
        "prefix_caching": cache.enable_prefix_caching,
        "kv_cache_dtype": cache.cache_dtype,
        "kv_cache_tensors": workers[0]["kv_cache_tensors"],
        "kv_cache_blocks": cache.num_gpu_blocks,
        "block_size": cache.block_size,
        "enforce_eager": model.enforce_eager,
        "compilation": compilation.mode.name,
        "graphs": compilation.cudagraph_mode.name,
    }


ENGINE = Vllm
