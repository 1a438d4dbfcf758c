"""The result of a request: one object that grows, awaited step by step as in the original."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field


class RequestError(RuntimeError):
    """A request that the executor gave up."""


@dataclass
class CompletionOutput:
    index: int
    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    cumulative_logprob: float | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    request_perf_metrics: object = None
    seen: int = field(default=0, init=False, repr=False)
    """Tokens before the last step."""

    @property
    def length(self) -> int:
        return len(self.token_ids)

    @property
    def token_ids_diff(self) -> list[int]:
        return self.token_ids[self.seen :]


@dataclass(frozen=True)
class Response:
    """A message of the executor: the new tokens, or why there are none."""

    tokens: Sequence[int] = ()
    finish_reason: str | None = None
    error: str | None = None


class RequestOutput:
    """Awaitable and async-iterable inside of the event loop in which it was made only."""

    def __init__(self, request_id: int, prompt_token_ids: list[int]) -> None:
        self.request_id = request_id
        self.prompt: str | None = None
        self.prompt_token_ids = prompt_token_ids
        self.outputs = [CompletionOutput(0)]
        self.finished = False
        self.aborted = False
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
        self._responses: asyncio.Queue[Response] = asyncio.Queue()

    def put(self, response: Response) -> None:
        """From the executor's thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._responses.put_nowait, response)

    def abort(self) -> None:
        """Abort the generation request."""
        self.aborted = True

    def __aiter__(self) -> "RequestOutput":
        return self

    async def __anext__(self) -> "RequestOutput":
        if self.finished:
            raise StopAsyncIteration
        assert self._loop is not None, "there was no event loop when the request was made"
        response = await self._responses.get()
        if response.error is not None:
            self.finished = True
            raise RequestError(response.error)
        output = self.outputs[0]
        output.seen = len(output.token_ids)
        output.token_ids.extend(response.tokens)
        output.finish_reason = response.finish_reason
        self.finished = response.finish_reason is not None
        return self

    async def aresult(self) -> "RequestOutput":
        while not self.finished:
            await self.__anext__()
        return self

    def __await__(self):  # type: ignore[no-untyped-def]
        return self.aresult().__await__()
