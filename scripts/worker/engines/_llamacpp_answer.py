"""The answer of llama.cpp to one request, chunk by chunk, checked against its own counts."""

import threading
from collections.abc import Mapping
from typing import Any

from worker.engines.base import UNKNOWN_ID, EngineError, OnTokens, Request


class Answer:
    """The chunks of one request's answer, as they come in."""

    def __init__(
        self, request: Request, on_tokens: OnTokens, over: threading.Event | None = None
    ) -> None:
        self._over = over
        self._request = request
        self._on_tokens = on_tokens
        self._tokens = 0
        self._fault: str | None = None

    def take_chunk(self, chunk: Any) -> bool:
        """Take one chunk; return True to cancel the request."""
        if not isinstance(chunk, dict) or "__verbose" not in chunk:
            self._fault = f"llama.cpp: {chunk.get('error', chunk) if chunk else chunk}"
            return False
        detail = chunk["__verbose"]
        new = detail["tokens_predicted"] - self._tokens
        if new > 0:
            self._tokens += new
            known = detail["tokens"]
            self._on_tokens(self._request, [UNKNOWN_ID] * (new - len(known)) + known)
        if usage := chunk.get("usage"):
            self._check_usage(usage)
        return self._over is not None and self._over.is_set()

    def _check_usage(self, usage: Mapping[str, Any]) -> None:
        computed = usage["prompt_tokens"] - usage["prompt_tokens_details"]["cached_tokens"]
        if computed != len(self._request.prompt):
            self._fault = (
                f"llama.cpp computed {computed} prompt tokens of {len(self._request.prompt)}"
            )
        if usage["completion_tokens"] != self._tokens:
            self._fault = (
                f"llama.cpp counts {usage['completion_tokens']} output tokens, "
                f"its stream showed {self._tokens}"
            )

    def check(self, refused: Any) -> None:
        """Raise EngineError where the server refused, or did other work than requested."""
        fault = self._fault or (f"llama.cpp: {refused}" if refused else None)
        if fault:
            raise EngineError(fault)
