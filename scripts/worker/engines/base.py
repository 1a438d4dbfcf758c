"""The interface of an engine adapter. One module here is one backend; its class is `ENGINE`.

The host reads the class attributes to check a campaign, so the top level of an adapter module
imports the standard library and this module only; the engine itself is imported in methods.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

from worker.protocol import ENGINE_ERROR
from worker.workload import EngineConfig, Sampling, is_backend_name


@dataclass(frozen=True)
class Option:
    """One setting of one engine: what the host checks, documents and hands over."""

    type: type
    default: Any
    doc: str
    choices: tuple[Any, ...] = ()
    minimum: float | None = None


@dataclass(frozen=True)
class Request:
    """One sequence to generate: exactly `output_tokens` tokens, an end-of-text token or not."""

    id: int
    prompt: tuple[int, ...]
    """Token ids."""
    output_tokens: int
    sampling: Sampling
    exact_length: bool = True
    """False allows the model to end earlier; only servers are sent such requests."""


OnTokens = Callable[[Request, Sequence[int]], object]
"""Called by the adapter, from any thread, at the moment in which new output tokens of a request
are there, with their ids. The callee stamps the time."""

UNKNOWN_ID = -1
"""Stands for an output token whose id the engine does not report; it counts as a token."""


class OpenLoad(ABC):
    """Requests that arrive at times of their own; its methods may be called from any thread."""

    @abstractmethod
    def wait_s(self) -> float | None:
        """Return after how long to call `due` again; None once the measurement is over."""

    @abstractmethod
    def due(self, step: tuple[float, float] | None = None) -> Sequence[Request]:
        """Return the requests whose time has come, to be submitted at once; often none.

        Args:
            step: start and end, on CLOCK_MONOTONIC, of the engine's step since the last call, for
                engines that are stepped and take nothing meanwhile: a request that came due in it
                waited for the engine, not for the load generator.
        """

    @abstractmethod
    def on_tokens(self, request: Request, ids: Sequence[int]) -> None:
        """Take new output tokens of a request, as `OnTokens`."""

    @abstractmethod
    def on_end(self, request: Request, fault: str | None = None) -> None:
        """Take the end of a request: after its last token, or with the message of its failure."""


class EngineError(Exception):
    """The engine refused or failed; the message is its own."""

    reason = ENGINE_ERROR
    """Reason code of the failure."""


class Engine(ABC):
    """One engine in its process. Made without arguments; at most one `load` in its life."""

    OPTIONS: ClassVar[Mapping[str, Option]] = {}
    MODEL_FORMATS: ClassVar[tuple[str, ...]]
    """A choice of `gguf` (one file) and `hf` (a Transformers folder), the preferred one first."""
    LOAD_MODES: ClassVar[frozenset[str]]
    """A choice of `waves`, `closed` and `open`."""
    DTYPES: ClassVar[tuple[str, ...]]
    """Values of the setting `dtype`; `auto` is what the model's files hold."""

    each_token: bool = True
    """True hands tokens over one by one. False, which may be set between waves, hands over those of
    a request together at its end, so that the cost of their time stamps can be measured."""

    @classmethod
    def conflict(cls, options: Mapping[str, Any]) -> tuple[str, str] | None:  # noqa: ARG003
        """Return an option and why its value excludes another option's; None if all can be had.

        The host calls it too, so it must work without the engine. An option that is not set is
        missing or None.
        """
        return None

    @classmethod
    def environment(cls, options: Mapping[str, Any]) -> dict[str, str]:  # noqa: ARG003
        """Return the variables that the engine's libraries read when they are imported.

        The process that holds the engine sets them at its start; an adapter leaves the
        environment alone.
        """
        return {}

    @abstractmethod
    def load(self, config: EngineConfig) -> dict[str, Any]:
        """Load the model and return the settings observed from the live engine.

        `config.options` holds every option. Prefix and prompt caching must be off.
        """

    @abstractmethod
    def version(self) -> str:
        """The engine's own version; works without `load`."""

    def wave(self, requests: Sequence[Request], on_tokens: OnTokens) -> None:
        """Submit `requests` together; returns when all of them are complete."""
        remaining = iter(requests)
        self.stream(lambda: next(remaining, None), len(requests), on_tokens)

    def stream(self, take: Callable[[], Request | None], slots: int, on_tokens: OnTokens) -> None:
        """Keep `slots` requests in flight: whenever one completes, submit what `take` gives.

        `take` may be called from any thread; None means no more. Returns when the last request is
        complete. Only for engines with `closed` in LOAD_MODES.
        """
        raise NotImplementedError

    def serve(self, load: OpenLoad) -> None:
        """Submit each request when it is due, whatever is still in flight.

        Until `load.wait_s()` is None: call `load.due()` after that time and submit what it gives;
        pass tokens to `load.on_tokens` and the end of each request, a failed one too, to
        `load.on_end`. Then cancel what is in flight, or let it end. A request that waits for a free
        slot waits inside the engine. Only for engines with `open` in LOAD_MODES.
        """
        raise NotImplementedError

    @abstractmethod
    def tokenize(
        self, model_path: str, texts: Sequence[str], *, template_date: date | None
    ) -> list[list[int]]:
        """Return the token ids of each text; works without `load`.

        Args:
            template_date: wrap each text as the user's turn in the model's own chat template,
                rendered as on this date and ready for the assistant's turn; None: the plain text,
                with the special tokens that the model's tokenizer adds to it.

        Raises:
            EngineError: a template is wanted, and the model has none.
        """

    def detokenize(
        self,
        model_path: str,  # noqa: ARG002
        token_ids: Sequence[Sequence[int]],  # noqa: ARG002
    ) -> list[str]:
        """Return the text of each list of token ids, with special tokens; works without `load`.

        Raises:
            EngineError: the adapter cannot.
        """
        raise EngineError("makes no text of token ids; name another tokenizer")

    def prepare(self, prompts: Sequence[tuple[int, ...]]) -> None:  # noqa: B027
        """Make ready what requests with these prompts need, before any is submitted."""

    def chunk_tokens(self, request: int) -> Sequence[int] | None:  # noqa: ARG002
        """Return how many tokens each chunk of a complete request had, None where each was one.

        For a server whose tokens can be counted only once an answer is whole.
        """
        return None

    def close(self) -> None:  # noqa: B027 - an engine may have nothing to release
        """Release what outlives a killed process (shared memory, files)."""

    @classmethod
    def is_out_of_memory(cls, error: BaseException) -> bool:
        """Return True if `error`, raised by `load` or `wave`, means that memory ran out."""
        return isinstance(error, MemoryError)


def find_engine(backend: str) -> type[Engine]:
    """Return the adapter class of a backend.

    Raises:
        EngineError: there is no such adapter.
    """
    name = f"worker.engines.{backend}"
    if is_backend_name(backend):
        try:
            engine: type[Engine] = importlib.import_module(name).ENGINE
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
        else:
            return engine
    raise EngineError(f"there is no backend {backend!r}")


def resolve_options(options: Mapping[str, Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all options with their values: those given, else the defaults.

    Raises:
        EngineError: an option is unknown or has a value of the wrong type.
    """
    for name, value in given.items():
        if name not in options:
            raise EngineError(f"option {name}: unknown")
        if type(value) is not options[name].type:
            raise EngineError(f"option {name}: must be {options[name].type.__name__}")
    return {name: option.default for name, option in options.items()} | dict(given)


def check_context(limit: int | None, config: EngineConfig) -> None:
    """Raise EngineError if the model's longest context, `limit` tokens, is shorter than needed.

    None is a limit that the model's files do not state.
    """
    if limit is not None and limit < config.context_tokens:
        raise EngineError(
            f"the model has a context of {limit} tokens, "
            f"context_tokens asks for {config.context_tokens}"
        )
