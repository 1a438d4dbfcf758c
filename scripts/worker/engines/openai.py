"""Any server that speaks OpenAI's completions API: launched here, or attached where it runs.

One adapter for all of them: how a server is started and how it spells a request is configuration
(`ServerConfig`), of a file envs/NAME/server.yaml or of a campaign.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, ClassVar

from worker.engines._retokeniser import Retokeniser
from worker.engines.base import (
    Engine,
    EngineError,
    OnTokens,
    OpenLoad,
    Option,
    Request,
    check_context,
)
from worker.serving.address import Address, AddressError, listed_models
from worker.serving.dialect import CHAT, IDS, RETOKENISED, Dialect
from worker.serving.faults import CLOSED, ENDED, ServerError, unfit
from worker.serving.launch import LaunchedServer, command_of, free_port, variables_of
from worker.serving.load import Client
from worker.serving.probe import DialectFacts, check, probe, probe_text
from worker.serving.properties import observe
from worker.serving.texts import texts_of, tokens_of
from worker.workload import EngineConfig, ServerConfig

DEATH_S = 0.5
"""Longest time between the end of a process's connections and its own."""

STOP_S = 3.0
"""Time that a launched server has to end by itself: less than the supervisor waits for
all of `close`."""

OUT_OF_MEMORY_WORDS = (
    "out of memory",
    "failed to allocate",
    "insufficient memory",
    "no available memory for the cache blocks",
    "larger than the available kv cache memory",
)
"""Words in a server's answer or output that mean that memory ran out."""


class OpenAIServer(Engine):
    OPTIONS: ClassVar[Mapping[str, Option]] = {}
    """None of its own: the options of an experiment are arguments of the server's command."""
    MODEL_FORMATS: ClassVar[tuple[str, ...]] = ("hf", "gguf")
    LOAD_MODES: ClassVar[frozenset[str]] = frozenset({"waves", "closed", "open"})
    DTYPES: ClassVar[tuple[str, ...]] = ("auto",)

    def __init__(self) -> None:
        self._launched: LaunchedServer | None = None
        self._client: Client | None = None
        self._version = "not reported"
        self._texts_of: Callable[[Sequence[tuple[int, ...]]], dict[tuple[int, ...], str]] | None
        self._texts_of = None
        self._retokeniser: Retokeniser | None = None

    def version(self) -> str:
        return self._version

    def load(self, config: EngineConfig) -> dict[str, Any]:
        server = config.server
        assert server is not None, "the host sends a server's configuration with its backend"
        address = self._reach(config, server)
        try:
            observed = self._try_out(address, config, server)
        except EngineError as error:
            raise self._death(error) or unfit(error) from error
        self._check_life()
        return observed

    def _try_out(
        self, address: Address, config: EngineConfig, server: ServerConfig
    ) -> dict[str, Any]:
        """Return what a server that is ready tells of itself, and what three requests show.

        Raises:
            EngineError: it cannot be measured as it is declared.
        """
        properties = observe(address, server.properties)
        model = server.model_name or listed_models(address)[0]
        self._version = str(properties.get("version", "not reported"))
        limit = properties.get("context_tokens")
        check_context(limit if isinstance(limit, int) else None, config)
        dialect = Dialect.of(server)
        if server.prompt != IDS:
            self._texts_of = partial(texts_of, server.tokenizer, config.model_path)
        if server.token_counts == RETOKENISED:
            self._retokeniser = Retokeniser(config.model_path)
        facts = self._try(address, dialect, config, model)
        self._client = Client(address, dialect, model=model, stall_s=server.stall_s)
        how = "launched" if self._launched else "attached"
        return {
            "server": how,
            "address": None if self._launched else address.location,
            "model": model,
            "prompts_sent_as": server.prompt,
            "chat_template_tokens": facts.template_tokens if server.prompt == CHAT else None,
            "tokens_counted_by": server.token_counts,
            "prefix_cache": server.prefix_cache,
            "reports_cached_tokens": facts.cached_tokens is not None,
            "reports_usage": facts.usage_tokens is not None,
            **properties,
        }

    def _try(
        self, address: Address, dialect: Dialect, config: EngineConfig, model: str
    ) -> DialectFacts:
        """Return the answers of the server to three requests.

        Raises:
            ServerError: it cannot be measured in this dialect.
        """
        tokens = None
        if dialect.prompt != IDS:
            assert config.server is not None
            text = probe_text(config.context_tokens)
            tokens = tokens_of(config.server.tokenizer, config.model_path, text)
        facts = probe(
            address,
            dialect,
            model=model,
            context_tokens=config.context_tokens,
            text_tokens=tokens,
        )
        check(facts, dialect)
        return facts

    def prepare(self, prompts: Sequence[tuple[int, ...]]) -> None:
        assert self._client is not None
        self._client.answers.clear()
        if self._texts_of is not None and not set(prompts) <= self._client.texts.keys():
            self._client.texts = self._texts_of(prompts)

    def chunk_tokens(self, request: int) -> Sequence[int] | None:
        assert self._client is not None
        if self._retokeniser is None:
            return None
        return self._retokeniser.chunk_tokens(self._client.answers.get(request, ()))

    def stream(self, take: Callable[[], Request | None], slots: int, on_tokens: OnTokens) -> None:
        assert self._client is not None
        self._client.each_token = self.each_token
        try:
            self._client.run(take, slots, on_tokens)
        except ServerError as error:
            raise self._death(error) or error from error
        self._check_life()

    def serve(self, load: OpenLoad) -> None:
        assert self._client is not None
        self._client.serve(load)
        self._check_life()

    def _check_life(self) -> None:
        """Check that a launched server lives: another one may have answered on its port.

        Raises:
            ServerError: it has ended.
        """
        if self._launched is not None and (death := self._launched.death()):
            raise ServerError(ENDED, death)

    def _death(self, error: EngineError) -> ServerError | None:
        """Return the end of a launched server, which an error comes from; None while it lives."""
        if self._launched is None:
            return None
        closed = isinstance(error, ServerError) and error.reason == CLOSED
        death = self._launched.death(DEATH_S if closed else 0.0)
        return ServerError(ENDED, f"{death} ({error})") if death else None

    def tokenize(
        self,
        model_path: str,  # noqa: ARG002
        texts: Sequence[str],  # noqa: ARG002
        *,
        template_date: date | None,  # noqa: ARG002
    ) -> list[list[int]]:
        raise EngineError("a server's prompts are tokenised by the adapter that it names")

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        if self._launched is not None:
            self._launched.stop(STOP_S)

    @classmethod
    def is_out_of_memory(cls, error: BaseException) -> bool:
        return any(words in str(error).lower() for words in OUT_OF_MEMORY_WORDS)

    def _reach(self, config: EngineConfig, server: ServerConfig) -> Address:
        """Return the address of the server, which is ready."""
        if server.url is None:
            port = free_port()
            self._launched = LaunchedServer(
                command_of(config, server, port), variables_of(config, server, port), port
            )
            self._launched.wait_until_ready(server.ready)
            return self._launched.address
        variable = server.token_variable
        if variable is not None and not os.environ.get(variable):
            raise EngineError(f"the environment variable {variable}, the server's token, is empty")
        try:
            token = os.environ[variable] if variable else None
            return Address.of(server.url, token=token, ca_file=server.ca_file)
        except AddressError as error:
            raise EngineError(str(error)) from error


ENGINE = OpenAIServer
