"""Three requests that show how a server really speaks, before anything is measured."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.engines.base import Request
from worker.serving.address import Address, query
from worker.serving.completion import refusal
from worker.serving.dialect import CHUNKS, LLAMA_CPP, LOGPROBS, TOKEN_IDS, USAGE, Dialect
from worker.serving.event_stream import EventStream
from worker.serving.faults import MISCOUNTED, ServerError
from worker.serving.load import COMPLETIONS
from worker.workload import Sampling

PROMPT_TOKENS, OUTPUT_TOKENS = 64, 16
"""Lengths of the requests where the context has room: a cache keeps whole blocks of prompts."""

WAYS = (TOKEN_IDS, LLAMA_CPP, USAGE, LOGPROBS)
"""Ways to count tokens, the best one first; one token for each chunk comes last."""


@dataclass(frozen=True)
class DialectFacts:
    """The answers of a server to three requests."""

    requested: int
    """Output tokens that each of the first two requests had to give."""
    prompt: int
    """Tokens that each of the three had."""
    counts: Mapping[str, int | None]
    """Output tokens of the first answer by each way to count them, None where it has none."""
    usage_tokens: int | None
    """Output tokens of the first answer by its usage at the end; None: no usage in the stream."""
    usage_prompt_tokens: int | None
    cached_tokens: int | None
    """Prompt tokens of the second, equal request that came from a cache; None: not reported."""
    natural_tokens: int | None
    """Output tokens of the third, which might end by itself."""

    @property
    def tokens(self) -> int | None:
        """Output tokens of the first answer; None where nothing tells."""
        known = [self.usage_tokens, *(self.counts[way] for way in WAYS)]
        return next((count for count in known if count is not None), None)

    def works(self, way: str) -> bool:
        """Return True if this way counts every token."""
        count = self.counts[way]
        return count is not None and count == self.tokens

    def best_way(self) -> str | None:
        """Return the best way to count tokens that works; None where there is none."""
        return next((way for way in (*WAYS, CHUNKS) if self.works(way)), None)

    def faults(self, dialect: Dialect) -> list[str]:
        """Return what is missing for a measurement, each with its remedy."""
        found = []
        if not self.works(dialect.token_counts):
            best = self.best_way()
            remedy = f"set token_counts: {best}" if best else "no other way counts them either"
            got = self.counts[dialect.token_counts]
            found.append(
                f"token_counts {dialect.token_counts} gives {got} of {self.tokens} tokens; {remedy}"
            )
        if self.usage_tokens is None and dialect.token_counts != TOKEN_IDS:
            found.append(
                "no usage at the end of the stream, so that counts cannot be checked; add "
                "stream_options: {include_usage: true} to request"
            )
        if self.usage_prompt_tokens not in (None, self.prompt):
            found.append(
                f"{self.prompt} token ids were sent, the server counts {self.usage_prompt_tokens} "
                "prompt tokens: it does not take them as they are"
            )
        exact = bool(dialect.exact_length)  # else experiments say that lengths are natural
        if exact and self.tokens is not None and self.tokens != self.requested:
            found.append(
                f"{self.tokens} tokens came where {self.requested} were requested; give "
                "exact_length the fields by which this server ignores the end of text, or remove "
                "it and set output_length: natural"
            )
        if self.cached_tokens:
            found.append(
                f"{self.cached_tokens} of {self.prompt} prompt tokens came from a cache; switch "
                "the server's cache of prompts off"
            )
        return found


def probe(address: Address, dialect: Dialect, *, model: str, context_tokens: int) -> DialectFacts:
    """Send three requests: an exact one, the same again, and one that may end by itself.

    Raises:
        ServerError: the server refuses one of them.
    """
    length = min(OUTPUT_TOKENS, max(1, context_tokens // 4))
    ids = tuple(range(5, 5 + max(1, min(PROMPT_TOKENS, context_tokens - length))))
    first, second, third = (
        _chunks(address, dialect, Request(0, ids, length, Sampling(), exact), model=model)
        for exact in (True, True, False)
    )
    usage = _usage(first)
    details = (_usage(second) or {}).get("prompt_tokens_details") or {}
    return DialectFacts(
        requested=length,
        prompt=len(ids),
        counts=_counts(first),
        usage_tokens=(usage or {}).get("completion_tokens"),
        usage_prompt_tokens=(usage or {}).get("prompt_tokens"),
        cached_tokens=details.get("cached_tokens"),
        natural_tokens=(_usage(third) or {}).get("completion_tokens"),
    )


def check(facts: DialectFacts, dialect: Dialect) -> None:
    """Check that a server can be measured in this dialect.

    Raises:
        ServerError: with all that is missing.
    """
    if faults := facts.faults(dialect):
        raise ServerError(MISCOUNTED, "; ".join(faults))


def _chunks(
    address: Address, dialect: Dialect, request: Request, *, model: str
) -> list[dict[str, Any]]:
    body = {"prompt": list(request.prompt)}
    body |= dialect.body(request, model=model, stream=True)
    status, content = query(address, COMPLETIONS, body)
    if status != 200:
        raise refusal(status, content)
    found = []
    for data in EventStream().feed(content + b"\n\n"):
        try:
            chunk = json.loads(data)
        except ValueError:
            continue
        if isinstance(chunk, dict) and chunk.get("error"):
            raise refusal(500, data)
        if isinstance(chunk, dict):
            found.append(chunk)
    return found


def _usages(chunks: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [chunk["usage"] for chunk in chunks if isinstance(chunk.get("usage"), dict)]


def _usage(chunks: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the usage at the end of an answer."""
    return next(reversed(_usages(chunks)), None)


def _counts(chunks: Sequence[Mapping[str, Any]]) -> dict[str, int | None]:
    """Return the tokens of an answer by each way to count them."""
    choices = [chunk["choices"][0] for chunk in chunks if chunk.get("choices")]
    ids = [choice["token_ids"] for choice in choices if choice.get("token_ids") is not None]
    details = [chunk["__verbose"] for chunk in chunks if isinstance(chunk.get("__verbose"), dict)]
    logprobs = [choice["logprobs"] for choice in choices if choice.get("logprobs")]
    usages = _usages(chunks)
    texts = [c for c in choices if "text" in c and (c["text"] or not c.get("finish_reason"))]
    return {
        TOKEN_IDS: sum(map(len, ids)) if ids else None,
        LLAMA_CPP: details[-1].get("tokens_predicted") if details else None,
        # Usage at the end alone says nothing of single chunks.
        USAGE: usages[-1].get("completion_tokens") if len(usages) > 1 else None,
        LOGPROBS: sum(len(found.get("tokens") or ()) for found in logprobs) if logprobs else None,
        CHUNKS: len(texts) if texts else None,
    }
