"""OpenVINO GenAI on a CPU, its continuous batching stepped by us; reads GGUF files."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from worker.engines.base import Engine, EngineError, OnTokens, Option, Request
from worker.workload import EngineConfig, Sampling

BLOCK_TOKENS = 32
"""Tokens of a block of keys and values; OpenVINO's own size on a CPU, which has no setting."""

OUT_OF_MEMORY_WORDS = ("require more memory than available", "m_ptr != nullptr", "bad_alloc")
"""OpenVINO's words where the system has too little, and where this process may have no more."""


class OpenVino(Engine):
    OPTIONS: ClassVar[Mapping[str, Option]] = {
        "threads": Option(int, 1, "CPU threads", minimum=1),
        "kv_cache_dtype": Option(
            str, "u8", "number format of keys and values", choices=("f32", "f16", "u8")
        ),
        "batch_tokens": Option(
            int,
            256,
            "most tokens computed in one step (max_num_batched_tokens); longer prompts take more",
            minimum=1,
        ),
    }
    MODEL_FORMATS: ClassVar[tuple[str, ...]] = ("gguf",)
    LOAD_MODES: ClassVar[frozenset[str]] = frozenset({"waves", "closed"})
    DTYPES: ClassVar[tuple[str, ...]] = ("auto",)
    """A GGUF file fixes its number format."""

    def __init__(self) -> None:
        self._pipeline: Any = None
        self._numbers = 0

    def version(self) -> str:
        import openvino_genai  # type: ignore[import-not-found]

        return f"openvino-genai {openvino_genai.get_version()}"

    def load(self, config: EngineConfig) -> dict[str, Any]:
        import openvino_genai

        options = config.options
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.enable_prefix_caching = False
        scheduler.max_num_seqs = config.slots
        scheduler.max_num_batched_tokens = options["batch_tokens"]
        # All of it from the start: a cache that grows is copied in the middle of a measurement.
        scheduler.num_kv_blocks = config.slots * -(-config.context_tokens // BLOCK_TOKENS)
        properties = {
            "INFERENCE_NUM_THREADS": options["threads"],
            "KV_CACHE_PRECISION": options["kv_cache_dtype"],
        }
        try:
            with _writable(config.model_path) as path:
                self._pipeline = openvino_genai.ContinuousBatchingPipeline(
                    path, scheduler, "CPU", properties
                )
            # The cache is made with the first request; so what does not fit is known now.
            self.wave([Request(0, (0,), 1, Sampling())], lambda *_: None)
        except Exception as error:
            if self.is_out_of_memory(error):
                raise
            message = f"OpenVINO cannot load {config.model_path}: {_cause(error)}"
            raise EngineError(message) from error
        return self._observe()

    def wave(self, requests: Sequence[Request], on_tokens: OnTokens) -> None:
        remaining = iter(requests)
        self.stream(lambda: next(remaining, None), len(requests), on_tokens)

    def stream(self, take: Callable[[], Request | None], slots: int, on_tokens: OnTokens) -> None:
        in_flight: dict[Any, Request] = {}
        for _ in range(slots):
            self._submit(take, in_flight)
        while in_flight:
            self._pipeline.step()
            for handle, request in list(in_flight.items()):
                if self._take_tokens(handle, request, on_tokens):
                    del in_flight[handle]
                    self._submit(take, in_flight)

    def tokenize(
        self, model_path: str, texts: Sequence[str], *, chat_template: bool
    ) -> list[list[int]]:
        import openvino_genai

        with _writable(model_path) as path:
            tokenizer = openvino_genai.Tokenizer(path)
        if chat_template:
            texts = [
                tokenizer.apply_chat_template(
                    [{"role": "user", "content": text}], add_generation_prompt=True
                )
                for text in texts
            ]
        # A rendered template has its special tokens already.
        return [
            tokenizer.encode(text, add_special_tokens=not chat_template).input_ids.data[0].tolist()
            for text in texts
        ]

    @staticmethod
    def is_out_of_memory(error: BaseException) -> bool:
        said = str(error)
        return isinstance(error, MemoryError) or any(words in said for words in OUT_OF_MEMORY_WORDS)

    def _submit(self, take: Callable[[], Request | None], in_flight: dict[Any, Request]) -> None:
        if request := take():
            import numpy as np
            import openvino  # type: ignore[import-not-found]

            prompt = openvino.Tensor(np.array([request.prompt], dtype=np.int64))
            self._numbers += 1
            handle = self._pipeline.add_request(self._numbers, prompt, _settings(request))
            in_flight[handle] = request

    def _take_tokens(self, handle: Any, request: Request, on_tokens: OnTokens) -> bool:
        """Hand over what the last step brought a request; returns whether it is complete."""
        from openvino_genai import GenerationStatus

        status = handle.get_status()
        running = status == GenerationStatus.RUNNING
        if self.each_token or not running:
            ids: list[int] = []
            while handle.can_read():
                for output in handle.read().values():
                    ids += output.generated_ids
            if ids:
                on_tokens(request, ids)
        if not running and status != GenerationStatus.FINISHED:
            raise EngineError(f"OpenVINO ended a request with the status {status.name}")
        return not running

    def _observe(self) -> dict[str, Any]:
        import openvino

        core = openvino.Core()
        return {
            "device": core.get_property("CPU", "FULL_DEVICE_NAME"),
            "cpu_capabilities": list(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
            "kv_cache_bytes": self._pipeline.get_metrics().cache_size_in_bytes,
            "openvino_build": openvino.get_version(),
        }


@contextmanager
def _writable(model_path: str) -> Iterator[str]:
    """Where the model can be opened for writing: OpenVINO's reader of GGUF asks for it.

    Containers see models read-only: there it is a copy, which takes memory until it is loaded.
    """
    if os.access(model_path, os.W_OK):
        yield model_path
        return
    with tempfile.TemporaryDirectory(prefix="openvino") as folder:
        # Its mode is not copied: it may be what forbids writing.
        yield str(shutil.copyfile(model_path, Path(folder, Path(model_path).name)))


def _settings(request: Request) -> Any:
    """How a request is to be generated, in OpenVINO's words."""
    from openvino_genai import GenerationConfig

    sampling = request.sampling
    settings = GenerationConfig(max_new_tokens=request.output_tokens, ignore_eos=True)
    if sampling.temperature:
        settings.do_sample = True
        settings.temperature = sampling.temperature
        settings.top_p = sampling.top_p
        settings.rng_seed = sampling.seed
        if sampling.top_k:  # its default is no limit
            settings.top_k = sampling.top_k
    return settings


def _cause(error: Exception) -> str:
    """What OpenVINO says, without where in its source it is said."""
    return ([line.strip() for line in str(error).splitlines() if line.strip()] or [repr(error)])[-1]


ENGINE = OpenVino
