"""llama.cpp through xllamacpp, with its own continuous batching; reads GGUF files."""

import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any, ClassVar
from urllib.parse import urlsplit

from worker.chat_template import rendered_on, template_of_gguf
from worker.engines._llamacpp_answer import Answer
from worker.engines._printed import printed_bytes, printed_since
from worker.engines.base import (
    Engine,
    EngineError,
    OnTokens,
    OpenLoad,
    Option,
    Request,
    check_context,
)
from worker.workload import EngineConfig

SCRATCH_CONTEXT = 256
"""Tokens; the smallest context that llama.cpp makes, enough for its tokenizer."""

UNUSED_TEMPLATE = "chatml"
"""One of llama.cpp's own templates, which need no parser."""

LOG_ERRORS = 1
"""llama.cpp's verbosity: errors only."""

MOST_IN_FLIGHT = 4096
"""Requests of an open load that are with the server at once; more wait in front of it."""

OUT_OF_MEMORY_WORDS = ("failed to allocate", "insufficient memory", "out of memory")
"""Messages that ggml prints where a buffer cannot be allocated; its exception has none."""


class LlamaCpp(Engine):
    OPTIONS: ClassVar[Mapping[str, Option]] = {
        "threads": Option(int, 1, "CPU threads for prompts and for generation", minimum=1),
        "batch_tokens": Option(int, 2048, "most tokens of one logical batch (n_batch)", minimum=1),
        "micro_batch_tokens": Option(
            int, 512, "most tokens computed at once (n_ubatch)", minimum=1
        ),
        "flash_attention": Option(str, "auto", "fused attention", choices=("auto", "on", "off")),
        "kv_cache_type": Option(
            str, "f16", "number format of keys and values", choices=("f32", "f16", "q8_0", "q4_0")
        ),
        "gpu_layers": Option(int, -1, "layers on the GPU, -1 for all of them", minimum=-1),
    }
    MODEL_FORMATS: ClassVar[tuple[str, ...]] = ("gguf",)
    LOAD_MODES: ClassVar[frozenset[str]] = frozenset({"waves", "closed", "open"})
    DTYPES: ClassVar[tuple[str, ...]] = ("auto",)
    """A GGUF file fixes its number format."""

    def __init__(self) -> None:
        self._server: Any = None
        self._callers: ThreadPoolExecutor | None = None

    def version(self) -> str:
        import xllamacpp

        return f"xllamacpp {xllamacpp.__version__}"

    def load(self, config: EngineConfig) -> dict[str, Any]:
        self._server = start_server(
            config.model_path,
            context_tokens=config.context_tokens * config.slots,
            slots=config.slots,
            options=config.options,
        )
        self._wait_for_queue()
        self._callers = ThreadPoolExecutor(config.slots, thread_name_prefix="request")
        observed = self._observe()
        check_context(observed["context_tokens"], config)
        return observed

    def stream(self, take: Callable[[], Request | None], slots: int, on_tokens: OnTokens) -> None:
        assert self._callers is not None

        def feed() -> None:
            while request := take():
                self._generate(request, on_tokens)

        for slot in [self._callers.submit(feed) for _ in range(slots)]:
            slot.result()

    def serve(self, load: OpenLoad) -> None:
        """As `Engine.serve`; a request takes a thread of its own, since the server's call waits."""

        def answer(request: Request) -> None:
            fault = None
            try:
                self._generate(request, load.on_tokens, over)
            except EngineError as error:
                fault = str(error)
            load.on_end(request, fault)

        over = threading.Event()
        with ThreadPoolExecutor(MOST_IN_FLIGHT, thread_name_prefix="request") as callers:
            try:
                while (wait_s := load.wait_s()) is not None:
                    time.sleep(wait_s)
                    for request in load.due():
                        callers.submit(answer, request)
            finally:
                over.set()

    def tokenize(
        self, model_path: str, texts: Sequence[str], *, template_date: date | None
    ) -> list[list[int]]:
        template = None
        if template_date is not None:
            template = rendered_on(template_of_gguf(model_path), template_date)
        self._start_scratch(model_path, template)
        return [self._token_ids(text, chat_template=template is not None) for text in texts]

    def detokenize(self, model_path: str, token_ids: Sequence[Sequence[int]]) -> list[str]:
        self._start_scratch(model_path, None)
        return [self._query("/detokenize", {"tokens": list(ids)})["content"] for ids in token_ids]

    def _start_scratch(self, model_path: str, template: str | None) -> None:
        """Start a server that makes token ids and their texts, and generates nothing."""
        options = {name: option.default for name, option in self.OPTIONS.items()}
        self._server = start_server(
            model_path,
            context_tokens=SCRATCH_CONTEXT,
            slots=1,
            options=options | {"gpu_layers": 0},
            warm_up=False,
            template=template,
        )
        self._wait_for_queue()

    def _token_ids(self, text: str, *, chat_template: bool) -> list[int]:
        if chat_template:
            messages = [{"role": "user", "content": text}]
            text = self._query("/apply-template", {"messages": messages})["prompt"]
        # As llama.cpp's own server reads a prompt, and as Transformers does by default: special
        # tokens in the text count as such, the start token is added where the model wants one.
        wanted = {"content": text, "add_special": True, "parse_special": True}
        ids: list[int] = self._query("/tokenize", wanted)["tokens"]
        return ids

    def _generate(
        self, request: Request, on_tokens: OnTokens, over: threading.Event | None = None
    ) -> None:
        """Generate one request in this thread; the server batches those of all threads.

        Args:
            over: once it is set, the request is cancelled at its next token.
        """
        answer = Answer(request, on_tokens, over)
        sampling = request.sampling
        refused = self._server.handle_completions(
            {
                "prompt": list(request.prompt),
                "max_tokens": request.output_tokens,
                "ignore_eos": True,
                "cache_prompt": False,
                "stream": self.each_token,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "top_k": sampling.top_k,
                "min_p": 0.0,  # on by default in llama.cpp, unknown to other engines
                "seed": sampling.seed,
                # A chunk is text, not a token: characters of several tokens come at once. This
                # adds how many tokens there are so far, and the id of the last one.
                "verbose": True,
                "return_tokens": True,
            },
            answer.take_chunk,
        )
        answer.check(refused)

    def _observe(self) -> dict[str, Any]:
        import xllamacpp

        properties = self._query("/props")
        return {
            "slots": properties["total_slots"],
            "context_tokens": properties["default_generation_settings"]["n_ctx"],
            "model_file_type": properties["model_ftype"],
            "llama_cpp_build": properties["build_info"],
            "devices": [device["description"] for device in xllamacpp.get_device_info()],
            "cpu_features": xllamacpp.get_system_info().strip(" |"),
        }

    def _wait_for_queue(self) -> None:
        """Wait until the server's task queue runs.

        xllamacpp 2026.10 returns from its constructor before the loop of the queue starts. A server
        that is destroyed in between loses the request to stop and is joined for ever. `/slots` is
        answered by that loop; `/tokenize`, `/props` and `/health` are not.
        """
        self._query("/slots")

    def _query(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Query the server's own HTTP listener on the loopback interface."""
        listener = http.client.HTTPConnection(urlsplit(self._server.listening_address).netloc)
        try:
            if body is None:
                listener.request("GET", path)
            else:
                content = json.dumps(body).encode()
                listener.request("POST", path, content, {"Content-Type": "application/json"})
            answer = json.loads(listener.getresponse().read())
        finally:
            listener.close()
        if "error" in answer:
            raise EngineError(f"llama.cpp: {answer['error'].get('message', answer['error'])}")
        return answer


def start_server(
    model_path: str,
    *,
    context_tokens: int,
    slots: int,
    options: Mapping[str, Any],
    warm_up: bool = True,
    template: str | None = None,
    listen: tuple[str, int] | None = None,
) -> Any:
    """Return a running server.

    Args:
        context_tokens: tokens of all slots together.
        template: chat template to render; None where no chat is rendered.
        listen: host and port of its HTTP listener; None for a port of its own choice.

    Raises:
        MemoryError: its buffers do not fit.
        EngineError: it did not start, with what it printed.
    """
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = model_path
    parameters.n_ctx = context_tokens
    parameters.n_parallel = slots
    parameters.cpuparams.n_threads = options["threads"]
    parameters.cpuparams_batch.n_threads = options["threads"]
    parameters.n_batch = options["batch_tokens"]
    parameters.n_ubatch = options["micro_batch_tokens"]
    attention = {"auto": "AUTO", "on": "ENABLED", "off": "DISABLED"}[options["flash_attention"]]
    parameters.flash_attn_type = getattr(
        xllamacpp.llama_flash_attn_type, f"LLAMA_FLASH_ATTN_TYPE_{attention}"
    )
    kv_type = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{options['kv_cache_type'].upper()}")
    parameters.cache_type_k = parameters.cache_type_v = kv_type
    parameters.n_gpu_layers = options["gpu_layers"]
    parameters.fit_params = False  # else it changes context and layers to what fits
    parameters.cache_prompt = False
    parameters.cache_ram_mib = 0
    parameters.warmup = warm_up
    # Without one it would try the model's own, and refuse a model whose template it cannot read.
    parameters.use_jinja = template is not None
    parameters.chat_template = template or UNUSED_TEMPLATE
    parameters.verbosity = LOG_ERRORS
    if listen is not None:
        parameters.hostnames, parameters.port = [listen[0]], listen[1]
    printed_before = printed_bytes()
    try:
        return xllamacpp.Server(parameters)
    except RuntimeError as error:
        printed = [re.sub(r"^[\d.]+ E ", "", line) for line in printed_since(printed_before)]
        cause = "; ".join(printed[:2]) or str(error)
        message = f"llama.cpp cannot load {model_path}: {cause}"
        if any(words in line for words in OUT_OF_MEMORY_WORDS for line in printed):
            raise MemoryError(message) from error
        raise EngineError(message) from error


ENGINE = LlamaCpp
