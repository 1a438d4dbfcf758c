"""The answer to one request for a completion: its tokens as they come, and its checks."""

import json
from collections.abc import Mapping
from typing import Any

from worker.engines.base import UNKNOWN_ID, Request
from worker.serving.dialect import (
    CHAT,
    CHUNKS,
    LLAMA_CPP,
    LOGPROBS,
    RETOKENISED,
    TOKEN_IDS,
    USAGE,
    USAGE_AT_END,
    Dialect,
)
from worker.serving.faults import (
    CLOSED,
    FAILED,
    INVALID,
    MISCOUNTED,
    ServerError,
    reason_of_status,
    shortened,
)

DONE = b"[DONE]"

FINISHED = ("stop", "length", "eos_token")
"""Values of `finish_reason` of a complete answer."""

OUTPUT, PROMPT = "completion_tokens", "prompt_tokens"
"""Numbers of tokens in a usage."""

MOST_TOKENS = 10_000_000
"""No answer has more; a list of what a broken server counts would fill the memory."""


class Completion:
    """One request's tokens, taken from the data of its events or from one whole answer."""

    def __init__(self, request: Request, dialect: Dialect) -> None:
        self._request = request
        self._counts = dialect.token_counts
        self._in_template = dialect.prompt == CHAT
        """The server wraps the prompt in its own template."""
        self.tokens = 0
        self.chunks = 0
        """Chunks that brought a token."""
        self.largest_chunk = 0
        """Most tokens of a chunk."""
        self.finish_reason: str | None = None
        self.usage: Mapping[str, Any] | None = None
        self.texts: list[str] = []
        """Text of each chunk that brought one, where it is what tokens are counted by."""

    def take_event(self, data: bytes) -> list[int]:
        """Return the ids of the tokens that an event brings, `UNKNOWN_ID` where it has none.

        Raises:
            ServerError: it is an error of the server, or no JSON object.
        """
        if data == DONE:
            return []
        chunk = _parse(data)
        if chunk is None:  # llama.cpp begins some streams with `data: null`
            return []
        return self._take(chunk)

    def take_whole(self, body: bytes) -> list[int]:
        """Return the ids of an answer that was not streamed; raises as `take_event`."""
        ids = self._take(_parse(body) or {})
        count = number_of(self.usage, OUTPUT)
        if count is not None and self._counts != RETOKENISED:
            ids += [UNKNOWN_ID] * (count - len(ids))
            self.tokens = len(ids)
        return ids

    def check_whole(self) -> None:
        """Check a complete answer that came whole: as `check`, and that it tells its tokens.

        Raises:
            ServerError: as there, or it does not tell them.
        """
        self.check()
        if not self.tokens:
            missing = "no text" if self._counts == RETOKENISED else "no usage.completion_tokens"
            raise ServerError(MISCOUNTED, f"the answer has {missing} to count its tokens by")

    def check(self, rest: bytes = b"") -> None:
        """Check a complete answer against what was requested, and against its own usage.

        Args:
            rest: of the stream, after its last whole event.

        Raises:
            ServerError: it ended too early, or counts differ.
        """
        self.check_end(rest)
        if self.usage is not None:
            self._check_usage(self.usage)

    def check_end(self, rest: bytes = b"") -> None:
        """Check that an answer ended as a complete one does; arguments and errors as in `check`."""
        if rest and rest.removeprefix(b"data:").strip() != DONE:
            message = f"the stream ended inside a chunk: {shortened(rest.decode(errors='replace'))}"
            raise ServerError(CLOSED, message)
        if self.finish_reason is None:
            raise ServerError(CLOSED, f"the answer ended after {self.tokens} tokens, unfinished")
        if self.finish_reason not in FINISHED:
            raise ServerError(FAILED, f"the server ended a request as {self.finish_reason!r}")

    def _check_usage(self, usage: Mapping[str, Any]) -> None:
        counted, prompt = number_of(usage, OUTPUT), number_of(usage, PROMPT)
        known = self._counts != RETOKENISED
        if known and counted is not None and counted != self.tokens:
            message = (
                f"the server's usage has {counted} output tokens, its answer has {self.tokens} "
                f"(counted by {self._counts})"
            )
            raise ServerError(MISCOUNTED, message)
        sent = len(self._request.prompt)
        if prompt is not None and (prompt < sent if self._in_template else prompt != sent):
            message = f"the server counts {prompt} prompt tokens, {sent} were sent"
            raise ServerError(MISCOUNTED, message)
        if cached := cached_of(usage):
            message = (
                f"the server took {cached} of {len(self._request.prompt)} prompt tokens from a "
                "cache; switch its prefix cache off"
            )
            raise ServerError(MISCOUNTED, message)

    def _take(self, chunk: Mapping[str, Any]) -> list[int]:
        if error := chunk.get("error"):
            raise _reported(error)
        choices = chunk.get("choices")
        if chunk.get("object") == "error" or not isinstance(choices, list):
            raise _reported(chunk)
        usage = chunk.get("usage")
        if isinstance(usage, dict) and (count_of(usage) or self.usage is None):
            self.usage = usage  # one of zeros, as each chunk of Ollama has, says nothing
        choice = choices[0] if choices else {}
        if not isinstance(choice, dict):
            raise ServerError(INVALID, f"a choice is {shortened(str(choice))}")
        ids = self._ids(chunk, choice)
        self.finish_reason = choice.get("finish_reason") or self.finish_reason
        if self.finish_reason:
            ids += [UNKNOWN_ID] * self._missing(count_of(self.usage) - self.tokens - len(ids))
        if ids:
            self.tokens += len(ids)
            self.chunks += 1
            self.largest_chunk = max(self.largest_chunk, len(ids))
        return ids

    def _missing(self, more: int) -> int:
        """Return the tokens that came with the end, of those that its usage has beyond the chunks.

        One server has the last token, which may be without text, in the chunk that ends the answer.
        """
        if self._counts == USAGE_AT_END:
            return more
        return int(self._counts == CHUNKS and more == 1)

    def _ids(self, chunk: Mapping[str, Any], choice: Mapping[str, Any]) -> list[int]:
        if self._counts == TOKEN_IDS:
            return list(choice.get("token_ids") or ())
        if self._counts == LLAMA_CPP:
            detail = chunk.get("__verbose") or {}
            known = list(detail.get("tokens") or ())
            new = detail.get("tokens_predicted", self.tokens) - self.tokens
            return [UNKNOWN_ID] * (new - len(known)) + known if new > 0 else []
        if self._counts == USAGE:
            return [UNKNOWN_ID] * (count_of(chunk.get("usage")) - self.tokens)
        if self._counts == LOGPROBS:
            found = choice.get("logprobs") or {}
            return [UNKNOWN_ID] * len(found.get("tokens") or found.get("content") or ())
        text = text_of(choice)
        if self._counts == CHUNKS:
            # A chunk without text may be a token too, or the end alone.
            is_token = text is not None and bool(text or not choice.get("finish_reason"))
            return [UNKNOWN_ID] if is_token else []
        if text and self._counts == RETOKENISED:
            self.texts.append(text)
        return [UNKNOWN_ID] if text else []


def count_of(usage: Any) -> int:
    """Return the output tokens in a usage; 0 where it has none."""
    return number_of(usage, OUTPUT) or 0


def number_of(usage: Any, name: str) -> int | None:
    """Return a number of tokens in a usage; None where it has none that can be true."""
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if type(count) is int and 0 <= count <= MOST_TOKENS else None


def cached_of(usage: Mapping[str, Any] | None) -> int | None:
    """Return the prompt tokens that came from a cache; None where the usage does not tell."""
    return number_of((usage or {}).get("prompt_tokens_details"), "cached_tokens")


def text_of(choice: Mapping[str, Any]) -> str | None:
    """Return the text that a choice brings, of a completion or a chat; None where it has none."""
    if "text" in choice:
        return str(choice["text"] or "")
    part = choice.get("delta") or choice.get("message") or {}
    parts = [part.get(name) for name in ("reasoning_content", "reasoning", "content")]
    return "".join(text for text in parts if isinstance(text, str)) or None


def not_streamed(media_type: str) -> ServerError:
    """Return the error of an answer that is no stream of events."""
    message = (
        f"the server does not stream: it answered with {media_type or 'no content-type'} where "
        "text/event-stream was requested; switch its streaming on, or off what gathers its "
        "answers, or declare `streams: false`: time to first token and inter-token latency are "
        "then null"
    )
    return ServerError(INVALID, message)


def streamed_anyway() -> ServerError:
    """Return the error of a stream from a server that is declared to have none."""
    message = "the server streams, though an answer as a whole was requested; remove streams: false"
    return ServerError(INVALID, message)


def refusal(status: int, body: bytes, *, path: str = "") -> ServerError:
    """Return the error of an answer whose status is no success, in the server's words."""
    text = body.decode(errors="replace")
    try:
        content = json.loads(text)
    except ValueError:
        content = text
    words = _words(content) or "no message"
    remedy = "; token_variable names the variable with its secret" if status == 401 else ""
    place = f" at {path}" if path else ""
    message = f"the server answered {status}{place}: {words}{remedy}"
    return ServerError(reason_of_status(status), message)


def _reported(error: Any) -> ServerError:
    """Return the error that a server reports inside a stream."""
    code = error.get("code") if isinstance(error, dict) else None
    reason = reason_of_status(code) if isinstance(code, int) and code >= 400 else FAILED
    return ServerError(reason, f"the server reports: {_words(error)}")


def _words(content: Any) -> str:
    while isinstance(content, dict) and (
        inner := content.get("error") or content.get("message") or content.get("detail")
    ):
        content = inner
    return shortened(content if isinstance(content, str) else json.dumps(content))


def _parse(data: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        words = shortened(data.decode(errors="replace"))
        raise ServerError(INVALID, f"the server sent no JSON ({error}): {words}") from error
    if content is not None and not isinstance(content, dict):
        words = shortened(data.decode(errors="replace"))
        raise ServerError(INVALID, f"the server sent no JSON object: {words}")
    return content
