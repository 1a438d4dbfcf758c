"""The answer to one request for a completion: its tokens as they come, and its checks."""

import json
from collections.abc import Mapping
from typing import Any

from worker.engines.base import UNKNOWN_ID, Request
from worker.serving.dialect import LLAMA_CPP, LOGPROBS, TOKEN_IDS, USAGE, Dialect
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


class Completion:
    """One request's tokens, taken from the data of its events or from one whole answer."""

    def __init__(self, request: Request, dialect: Dialect) -> None:
        self._request = request
        self._counts = dialect.token_counts
        self.tokens = 0
        self.chunks = 0
        """Chunks that brought a token."""
        self.largest_chunk = 0
        """Most tokens of a chunk."""
        self.finish_reason: str | None = None
        self.usage: Mapping[str, Any] | None = None

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
        if self.usage is not None and isinstance(count := self.usage.get("completion_tokens"), int):
            ids += [UNKNOWN_ID] * (count - len(ids))
            self.tokens = len(ids)
        return ids

    def check(self, rest: bytes = b"") -> None:
        """Check a complete answer against what was requested, and against its own usage.

        Args:
            rest: of the stream, after its last whole event.

        Raises:
            ServerError: it ended too early, or counts differ.
        """
        if rest and rest.removeprefix(b"data:").strip() != DONE:
            message = f"the stream ended inside a chunk: {shortened(rest.decode(errors='replace'))}"
            raise ServerError(CLOSED, message)
        if self.finish_reason is None:
            raise ServerError(CLOSED, f"the stream ended after {self.tokens} tokens, unfinished")
        if self.finish_reason not in ("stop", "length", "eos_token"):
            raise ServerError(FAILED, f"the server ended a request as {self.finish_reason!r}")
        if self.usage is not None:
            self._check_usage(self.usage)

    def _check_usage(self, usage: Mapping[str, Any]) -> None:
        counted, prompt = usage.get("completion_tokens"), usage.get("prompt_tokens")
        if isinstance(counted, int) and counted != self.tokens:
            message = (
                f"the server's usage has {counted} output tokens, its stream has {self.tokens} "
                f"(counted by {self._counts})"
            )
            raise ServerError(MISCOUNTED, message)
        if isinstance(prompt, int) and prompt != len(self._request.prompt):
            message = (
                f"the server counts {prompt} prompt tokens, {len(self._request.prompt)} were sent"
            )
            raise ServerError(MISCOUNTED, message)
        if cached := (usage.get("prompt_tokens_details") or {}).get("cached_tokens"):
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
        if isinstance(usage, dict):
            self.usage = usage
        choice = choices[0] if choices else {}
        if not isinstance(choice, dict):
            raise ServerError(INVALID, f"a choice is {shortened(str(choice))}")
        ids = self._ids(chunk, choice)
        self.finish_reason = choice.get("finish_reason") or self.finish_reason
        if ids:
            self.tokens += len(ids)
            self.chunks += 1
            self.largest_chunk = max(self.largest_chunk, len(ids))
        return ids

    def _ids(self, chunk: Mapping[str, Any], choice: Mapping[str, Any]) -> list[int]:
        if self._counts == TOKEN_IDS:
            return list(choice.get("token_ids") or ())
        if self._counts == LLAMA_CPP:
            detail = chunk.get("__verbose") or {}
            known = list(detail.get("tokens") or ())
            new = detail.get("tokens_predicted", self.tokens) - self.tokens
            return [UNKNOWN_ID] * (new - len(known)) + known if new > 0 else []
        if self._counts == USAGE:
            count = (chunk.get("usage") or {}).get("completion_tokens") or 0
            return [UNKNOWN_ID] * (count - self.tokens)
        if self._counts == LOGPROBS:
            return [UNKNOWN_ID] * len((choice.get("logprobs") or {}).get("tokens") or ())
        # A chunk with text may be the last one; one without may be a token too, or the end alone.
        brings = "text" in choice and (choice["text"] or not choice.get("finish_reason"))
        return [UNKNOWN_ID] if brings else []


def refusal(status: int, body: bytes) -> ServerError:
    """Return the error of an answer whose status is no success, in the server's words."""
    text = body.decode(errors="replace")
    try:
        content = json.loads(text)
    except ValueError:
        content = text
    words = _words(content) or "no message"
    return ServerError(reason_of_status(status), f"the server answered {status}: {words}")


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
