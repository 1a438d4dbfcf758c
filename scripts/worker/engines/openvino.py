"""OpenVINO GenAI on a CPU, its continuous batching stepped by us; reads GGUF files."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

from worker.chat_template import rendered_on, template_of_gguf
from worker.engines._feeding import Stepping
from worker.engines._printed import with_printed
from worker.engines.base import Engine, EngineError, OnTokens, OpenLoad, Option, Request
from worker.gguf import part_names
from worker.workload import EngineConfig, Sampling

BLOCK_TOKENS = 32
"""Tokens of a block of keys and values; OpenVINO's own size on a CPU, which has no setting."""

OUT_OF_MEMORY_WORDS = ("require more memory than available", "m_ptr != nullptr", "bad_alloc")
"""OpenVINO's messages where the system has too little, and where this process may have no more."""

COMPILED_MODEL = "Model: LLM"
"""Begins the properties of the compiled model that OpenVINO GenAI prints at LOG_INFO. Its pipeline
offers no other way to read them."""

LOG_INFO = "3"


class OpenVino(Engine):
    OPTIONS: ClassVar[Mapping[str, Option]] = {
        "threads": Option(int, 1, "CPU threads", minimum=1),
        "kv_cache_dtype": Option(
            str, "u8", "number format of keys and values", choices=("f32", "f16", "u8")
        ),
        "inference_precision": Option(
            str,
            None,
            "number format that it computes in (INFERENCE_PRECISION_HINT); not set: `f32` where "
            "keys and values are `f32`, else OpenVINO's choice for the CPU",
            choices=("f32", "bf16", "f16"),
        ),
        "batch_tokens": Option(
            int,
            256,
            "most tokens computed in one step (max_num_batched_tokens); longer prompts take more",
            minimum=1,
        ),
    }
    MODEL_FORMATS: ClassVar[tuple[str, ...]] = ("gguf",)
    LOAD_MODES: ClassVar[frozenset[str]] = frozenset({"waves", "closed", "open"})
    DTYPES: ClassVar[tuple[str, ...]] = ("auto",)
    """A GGUF file fixes its number format."""

    def __init__(self) -> None:
        self._pipeline: Any = None
        self._numbers = 0
        self._slots = 1

    @classmethod
    def conflict(cls, options: Mapping[str, Any]) -> tuple[str, str] | None:
        computes, keeps = options.get("inference_precision"), options.get("kv_cache_dtype")
        # OpenVINO refuses the first two (`expect kvcache type`), and keeps bf16 in the third.
        if (computes, keeps) in (("bf16", "f32"), ("f16", "f32"), ("bf16", "f16")):
            message = f"{computes} cannot be combined with kv_cache_dtype {keeps}; set it to f32"
            return "inference_precision", message
        return None

    @classmethod
    def environment(cls, options: Mapping[str, Any]) -> dict[str, str]:  # noqa: ARG003
        return {"OPENVINO_LOG_LEVEL": LOG_INFO}

    def version(self) -> str:
        import openvino_genai  # type: ignore[import-not-found]

        return f"openvino-genai {openvino_genai.get_version()}"

    def load(self, config: EngineConfig) -> dict[str, Any]:
        import openvino_genai

        options = config.options
        self._slots = config.slots
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.enable_prefix_caching = False
        scheduler.max_num_seqs = config.slots
        scheduler.max_num_batched_tokens = options["batch_tokens"]
        # All of it from the start: a cache that grows is copied in the middle of a measurement.
        scheduler.num_kv_blocks = config.slots * -(-config.context_tokens // BLOCK_TOKENS)
        precision = options["inference_precision"]
        if precision is None and options["kv_cache_dtype"] == "f32":
            precision = "f32"  # where it would compute in bf16 it refuses such keys and values
        properties = {
            "INFERENCE_NUM_THREADS": options["threads"],
            "KV_CACHE_PRECISION": options["kv_cache_dtype"],
            **({"INFERENCE_PRECISION_HINT": precision} if precision else {}),
        }
        try:
            with _writable(config.model_path) as path:
                self._pipeline, printed = with_printed(
                    lambda: openvino_genai.ContinuousBatchingPipeline(
                        path, scheduler, "CPU", properties
                    )
                )
            # The cache is made with the first request, so that what does not fit is known now.
            self.wave([Request(0, (0,), 1, Sampling())], lambda *_: None)
        except Exception as error:
            if self.is_out_of_memory(error):
                raise
            message = f"OpenVINO cannot load {config.model_path}: {_cause(error)}"
            raise EngineError(message) from error
        observed = self._observe(_compiled_properties(printed))
        if precision not in (None, observed["inference_precision"]):
            raise EngineError(
                f"inference_precision {precision}: OpenVINO computes in "
                f"{observed['inference_precision']} on this CPU"
            )
        return observed

    def stream(self, take: Callable[[], Request | None], slots: int, on_tokens: OnTokens) -> None:
        in_flight: dict[Any, Request] = {}
        for _ in range(slots):
            self._submit(take(), in_flight)
        while in_flight:
            self._pipeline.step()
            for handle, request in list(in_flight.items()):
                if self._take_tokens(handle, request, on_tokens):
                    del in_flight[handle]
                    self._submit(take(), in_flight)

    def serve(self, load: OpenLoad) -> None:
        # Not all at once: OpenVINO would compute each prompt before it goes on with its slots.
        in_flight: dict[Any, Request] = {}
        loop = Stepping(load)
        for _ in loop.steps(in_flight.__len__):
            for request in loop.admit(self._slots - len(in_flight)):
                self._submit(request, in_flight)
            if in_flight:
                self._pipeline.step()
            for handle, request in list(in_flight.items()):
                if self._take_tokens(handle, request, load.on_tokens):
                    del in_flight[handle]
                    load.on_end(request)
        for handle in in_flight:
            handle.cancel()
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()

    def tokenize(
        self, model_path: str, texts: Sequence[str], *, template_date: date | None
    ) -> list[list[int]]:
        import openvino_genai

        with _writable(model_path) as path:
            tokenizer = openvino_genai.Tokenizer(path)
        if template_date:
            template = rendered_on(template_of_gguf(model_path), template_date)
            texts = [
                tokenizer.apply_chat_template(
                    [{"role": "user", "content": text}],
                    add_generation_prompt=True,
                    chat_template=template,
                )
                for text in texts
            ]
        special = template_date is None  # a rendered template has its special tokens already
        encoded = [tokenizer.encode(text, add_special_tokens=special) for text in texts]
        return [tokens.input_ids.data[0].tolist() for tokens in encoded]

    def detokenize(self, model_path: str, token_ids: Sequence[Sequence[int]]) -> list[str]:
        import openvino_genai

        with _writable(model_path) as path:
            tokenizer = openvino_genai.Tokenizer(path)
        return [tokenizer.decode(list(ids), skip_special_tokens=False) for ids in token_ids]

    @classmethod
    def is_out_of_memory(cls, error: BaseException) -> bool:
        message = str(error)
        return isinstance(error, MemoryError) or any(w in message for w in OUT_OF_MEMORY_WORDS)

    def _submit(self, request: Request | None, in_flight: dict[Any, Request]) -> None:
        if request is not None:
            import numpy as np
            import openvino  # type: ignore[import-not-found]

            prompt = openvino.Tensor(np.array([request.prompt], dtype=np.int64))
            self._numbers += 1
            handle = self._pipeline.add_request(self._numbers, prompt, _settings(request))
            in_flight[handle] = request

    def _take_tokens(self, handle: Any, request: Request, on_tokens: OnTokens) -> bool:
        """Hand over a request's tokens of the last step; return True once it is complete."""
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

    def _observe(self, compiled: Mapping[str, str]) -> dict[str, Any]:
        import openvino

        core = openvino.Core()
        computes, keeps = (
            compiled.get(name) for name in ("INFERENCE_PRECISION_HINT", "KV_CACHE_PRECISION")
        )
        if (computes, keeps) == ("bf16", "f16"):
            keeps = "bf16"  # the property stays f16, the tensors follow what it computes in
        instructions = compiled.get("RUNTIME_REQUIREMENTS", "").partition("isa=")[2]
        threads = compiled.get("INFERENCE_NUM_THREADS")
        return {
            "device": core.get_property("CPU", "FULL_DEVICE_NAME"),
            "cpu_capabilities": list(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
            "cpu_instructions": instructions or None,
            "inference_precision": computes,
            "kv_cache_dtype": keeps,
            "kv_cache_bytes": self._pipeline.get_metrics().cache_size_in_bytes,
            "threads": None if threads is None else int(threads),
            "openvino_build": openvino.get_version(),
        }


def _compiled_properties(printed: Sequence[str]) -> dict[str, str]:
    """Return the properties of the compiled language model, as OpenVINO prints them.

    Empty where it prints none.
    """
    lines = itertools.dropwhile(lambda line: not line.startswith(COMPILED_MODEL), printed)
    next(lines, None)
    properties = itertools.takewhile(lambda line: line.startswith("  "), lines)
    pairs = (line.partition(":") for line in properties)
    return {name.strip(): value.strip() for name, _, value in pairs}


@contextmanager
def _writable(model_path: str) -> Iterator[str]:
    """Yield a path of the model that can be opened for writing, as OpenVINO's reader of GGUF does.

    Containers see models read-only: there it is a copy, which takes memory until it is loaded.
    """
    if os.access(model_path, os.W_OK):
        yield model_path
        return
    path = Path(model_path)
    with tempfile.TemporaryDirectory(prefix="openvino") as folder:
        for name in part_names(path.name):
            # Its mode is not copied: it may be what forbids writing.
            shutil.copyfile(path.with_name(name), Path(folder, name))
        yield str(Path(folder, path.name))


def _settings(request: Request) -> Any:
    """Return the generation settings of a request."""
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
    """Return OpenVINO's message without the place in its source."""
    return ([line.strip() for line in str(error).splitlines() if line.strip()] or [repr(error)])[-1]


ENGINE = OpenVino
