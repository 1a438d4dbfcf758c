"""A number of requests kept in flight on a server, from one thread."""

import json
import selectors
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from worker.engines.base import OnTokens, OpenLoad, Request
from worker.serving.address import Address
from worker.serving.connection import Connection
from worker.serving.dialect import IDS, Dialect
from worker.serving.faults import STALLED, ServerError

READ, READ_AND_WRITE = selectors.EVENT_READ, selectors.EVENT_READ | selectors.EVENT_WRITE

SILENCE_CHECK_S = 1.0
"""Time between two looks for requests that hear nothing."""

Take = Callable[[], Request | None]


class ChunkCounts(NamedTuple):
    """The chunks of all complete answers."""

    chunks: int
    tokens: int
    largest: int
    """Most tokens of a chunk."""


class Client:
    """Keeps requests in flight over connections that are used again."""

    def __init__(self, address: Address, dialect: Dialect, *, model: str, stall_s: float) -> None:
        """Open nothing yet.

        Args:
            model: name of the model in requests.
            stall_s: longest time without a byte for any request in flight.
        """
        self._address, self._dialect = address, dialect
        self._model, self._stall_s = model, stall_s
        self._idle: list[Connection] = []
        self.texts: Mapping[tuple[int, ...], str] = {}
        """Texts of prompts, where the server takes no token ids."""
        self.answers: dict[int, Sequence[str]] = {}
        """Texts of the chunks of complete answers by request, where tokens are counted by them."""
        self._prompt_field = lru_cache(maxsize=4096)(self._make_prompt_field)
        self.each_token = True
        """See `Engine.each_token`."""
        self.counts = ChunkCounts(0, 0, 0)

    def run(self, take: Take, slots: int, on_tokens: OnTokens) -> None:
        """Keep `slots` requests in flight; return when all that `take` gives are complete.

        Raises:
            ServerError: a request failed, or the server stalled; all others are given up.
        """
        selector = selectors.DefaultSelector()
        busy: set[Connection] = set()
        done = False
        try:
            for _ in range(slots):
                if (request := take()) is None:
                    break
                connection = self._idle.pop() if self._idle else Connection(self._address)
                busy.add(connection)
                self._start(connection, request, selector, on_tokens)
            self._serve(take, busy, selector, on_tokens)
            done = True
        finally:
            selector.close()
            for connection in () if done else busy:
                connection.close()  # the server gives up what nobody waits for

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _serve(
        self,
        take: Take,
        busy: set[Connection],
        selector: selectors.BaseSelector,
        on_tokens: OnTokens,
    ) -> None:
        checked = time.monotonic()
        heard = dict.fromkeys(busy, checked)
        while busy:
            ready = selector.select(self._stall_s)
            now = time.monotonic()
            for key, events in ready:
                connection: Connection = key.data
                heard[connection] = now
                if not self._go_on(key, events, selector):
                    continue
                if request := take():
                    self._start(connection, request, selector, on_tokens)
                else:
                    busy.discard(connection)
                    self._idle.append(connection)
            if now - checked >= min(self._stall_s, SILENCE_CHECK_S):
                checked = now
                self._check_silence(busy, heard, now)

    def serve(self, load: OpenLoad) -> None:
        """Submit each request of an open load when it is due, whatever is in flight.

        A request that fails is handed over as such; what is in flight at the end is given up.
        """
        selector = selectors.DefaultSelector()
        busy: set[Connection] = set()
        try:
            while (wait_s := load.wait_s()) is not None:
                ready = selector.select(wait_s)
                for request in load.due():
                    self._submit(request, busy, selector, load)
                for key, events in ready:
                    self._follow(key, events, busy, selector, load)
        finally:
            selector.close()
            for connection in busy:
                connection.close()

    def _submit(
        self,
        request: Request,
        busy: set[Connection],
        selector: selectors.BaseSelector,
        load: OpenLoad,
    ) -> None:
        try:
            connection = self._idle.pop() if self._idle else Connection(self._address)
        except ServerError as error:
            load.on_end(request, str(error))
            return
        busy.add(connection)
        try:
            self._start(connection, request, selector, load.on_tokens)
        except ServerError as error:
            busy.discard(connection)
            connection.close()
            load.on_end(request, str(error))

    def _follow(
        self,
        key: selectors.SelectorKey,
        events: int,
        busy: set[Connection],
        selector: selectors.BaseSelector,
        load: OpenLoad,
    ) -> None:
        connection: Connection = key.data
        request, fault = connection.request, None
        try:
            if not self._go_on(key, events, selector):
                return
            self._idle.append(connection)
        except ServerError as error:
            fault = str(error)
            selector.unregister(key.fd)
            connection.close()
        busy.discard(connection)
        load.on_end(request, fault)

    def _go_on(
        self, key: selectors.SelectorKey, events: int, selector: selectors.BaseSelector
    ) -> bool:
        """Send and receive what is possible now; return True once the answer is complete."""
        connection: Connection = key.data
        if events & selectors.EVENT_WRITE:
            connection.send()
        if not (events & selectors.EVENT_READ and connection.receive()):
            self._watch(connection, key.fd, selector)
            return False
        self._count(connection)
        selector.unregister(key.fd)
        return True

    def _start(
        self,
        connection: Connection,
        request: Request,
        selector: selectors.BaseSelector,
        on_tokens: OnTokens,
    ) -> None:
        message = self._message(request)
        connection.start(request, message, self._dialect, on_tokens, stream=self._streams)
        connection.moved = False
        events = READ_AND_WRITE if connection.sending else READ
        selector.register(connection.fileno(), events, connection)

    def _watch(self, connection: Connection, file: int, selector: selectors.BaseSelector) -> None:
        """Watch the connection under the file that it has now, for what it waits for."""
        events = READ_AND_WRITE if connection.sending else READ
        if connection.moved:
            connection.moved = False
            selector.unregister(file)
            selector.register(connection.fileno(), events, connection)
        elif selector.get_key(file).events != events:
            selector.modify(file, events, connection)

    def _check_silence(
        self, busy: set[Connection], heard: dict[Connection, float], now: float
    ) -> None:
        silent = [c for c in busy if now - heard.setdefault(c, now) > self._stall_s]
        if silent:
            tokens = min(connection.completion.tokens for connection in silent)
            whole = "" if self._streams else "; an answer comes whole: is stall_s too short for it?"
            raise ServerError(
                STALLED,
                f"the server sent nothing for {self._stall_s:g} s, after {tokens} tokens of a "
                f"request; {len(busy)} were in flight{whole}",
            )

    @property
    def _streams(self) -> bool:
        return self.each_token and self._dialect.streams

    def _message(self, request: Request) -> bytes:
        """Return head and body of a request."""
        body = self._dialect.body(request, model=self._model, stream=self._streams)
        text = json.dumps(body, separators=(",", ":")).encode()
        content = b"{" + self._prompt_field(request.prompt) + b"," + text[1:]
        return self._address.head("POST", self._dialect.path, length=len(content)) + content

    def _make_prompt_field(self, prompt: tuple[int, ...]) -> bytes:
        sent = prompt if self._dialect.prompt == IDS else self.texts[prompt]
        return self._dialect.prompt_field(sent).encode()

    def _count(self, connection: Connection) -> None:
        answer, before = connection.completion, self.counts
        if answer.texts:
            self.answers[connection.request.id] = answer.texts
        self.counts = ChunkCounts(
            before.chunks + answer.chunks,
            before.tokens + answer.tokens,
            max(before.largest, answer.largest_chunk),
        )
