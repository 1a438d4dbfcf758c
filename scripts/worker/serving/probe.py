"""Three requests that show how a server really speaks, before anything is measured."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from worker.engines.base import Request
from worker.serving.address import Address, query
from worker.serving.completion import (
    FINISHED,
    OUTPUT,
    PROMPT,
    Completion,
    cached_of,
    not_streamed,
    number_of,
    refusal,
    streamed_anyway,
)
from worker.serving.dialect import (
    CHAT,
    CHUNKS,
    IDS,
    LLAMA_CPP,
    LOGPROBS,
    RETOKENISED,
    TOKEN_IDS,
    USAGE,
    USAGE_AT_END,
    WHOLE_COUNTS,
    Dialect,
)
from worker.serving.event_stream import EventStream
from worker.serving.faults import MISCOUNTED, ServerError
from worker.serving.http_answer import EVENT_STREAM
from worker.workload import Sampling

PROMPT_TOKENS, OUTPUT_TOKENS = 64, 16
"""Lengths of the requests where the context has room: a cache keeps whole blocks of prompts."""

WAYS = (TOKEN_IDS, LLAMA_CPP, USAGE, LOGPROBS)
"""Ways that count tokens by themselves, the best one first."""

OTHER_WAYS = (CHUNKS, USAGE_AT_END, RETOKENISED)
"""Ways for servers that have none of those, the best one first."""

SENTENCE = "The quick brown fox jumps over the lazy dog. "
SENTENCE_TOKENS, MOST_SENTENCES = 16, 6
"""Prompt of the requests to a server that takes no token ids, and the room for one of them."""


@dataclass(frozen=True)
class DialectFacts:
    """The answers of a server to three requests."""

    requested: int
    """Output tokens that each of the first two requests had to give."""
    prompt: int | None
    """Tokens that each of the three had; None where a text was sent that nobody here has split."""
    counts: Mapping[str, int | None]
    """Output tokens of the first answer by each way to count them, None where it has none."""
    usage_tokens: int | None
    """Output tokens of the first answer by its usage at the end; None: no usage in the stream."""
    usage_prompt_tokens: int | None
    cached_tokens: int | None
    """Prompt tokens of the second, equal request that came from a cache; None: not reported."""
    natural_tokens: int | None
    """Output tokens of the third, which might end by itself."""
    finish_reason: str | None
    """The end of the first answer in the server's word; None where it has none."""
    unfinished: str | None
    """Why neither of the first two passes for a complete answer; None where both do."""

    @property
    def template_tokens(self) -> int | None:
        """Prompt tokens that the server counts beyond those sent; None where one is not known."""
        if self.prompt is None or self.usage_prompt_tokens is None:
            return None
        return self.usage_prompt_tokens - self.prompt

    @property
    def tokens(self) -> int | None:
        """Output tokens of the first answer; None where nothing tells."""
        known = [self.usage_tokens, *(self.counts[way] for way in WAYS)]
        return next((count for count in known if count is not None), None)

    def works(self, way: str) -> bool:
        """Return True if this way counts every token."""
        count = self.counts[way]
        if way == RETOKENISED:
            return count is not None  # nothing can contradict it
        return count is not None and count == self.tokens

    def best_way(self) -> str | None:
        """Return the best way to count tokens that works; None where there is none."""
        return next((way for way in (*WAYS, *OTHER_WAYS) if self.works(way)), None)

    def faults(self, dialect: Dialect) -> list[str]:
        """Return what is missing for a measurement, each with its remedy."""
        found = []
        if not self.works(dialect.token_counts):
            best = self.best_way()
            remedy = f"set token_counts: {best}" if best else "no other way counts them either"
            got = self.counts[dialect.token_counts] or "none"
            known = "an unknown number of" if self.tokens is None else self.tokens
            found.append(
                f"token_counts {dialect.token_counts} counts {got} of {known} tokens; {remedy}"
            )
        checked_otherwise = not dialect.streams or dialect.token_counts in (TOKEN_IDS, RETOKENISED)
        if self.usage_tokens is None and not checked_otherwise:
            found.append(
                "no usage at the end of the stream, so that counts cannot be checked; add "
                "stream_options: {include_usage: true} to request"
            )
        more = self.template_tokens or 0
        if more < 0 or (more and dialect.prompt != CHAT):
            what = "token ids" if dialect.prompt == IDS else "tokens as text"
            found.append(
                f"{self.prompt} {what} were sent, the server counts {self.usage_prompt_tokens} "
                "prompt tokens: it does not take them as they are"
            )
        if self.tokens is not None and (remedy := self._length_remedy(self.tokens, dialect)):
            end = f" (finish_reason {self.finish_reason})" if self.finish_reason else ""
            found.append(
                f"{self.tokens} tokens came where {self.requested} were requested{end}; {remedy}"
            )
        if self.unfinished is not None:
            found.append(f"{self.unfinished}; {_remedy_of_end(self.finish_reason)}")
        if self.cached_tokens:
            found.append(
                f"{self.cached_tokens} of {self.prompt} prompt tokens came from a cache; switch "
                "the server's cache of prompts off"
            )
        return found

    def _length_remedy(self, tokens: int, dialect: Dialect) -> str:
        """Return the remedy for an answer of another length than requested; empty for a right one.

        Without `exact_length`, experiments say that lengths are natural: shorter ones are right.
        """
        if tokens > self.requested:
            return (
                "give request the field by which this server limits an answer, such as "
                'max_completion_tokens: "{output_tokens}"'
            )
        if tokens == self.requested or not dialect.exact_length:
            return ""
        return (
            "give exact_length the fields by which this server ignores the end of text, or remove "
            "it and set output_length: natural"
        )


def _remedy_of_end(finish_reason: str | None) -> str:
    if finish_reason is not None and finish_reason not in FINISHED:
        return f"switch off what ends them as {finish_reason}; the server's log may name it"
    return (
        "so an answer that was cut cannot be distinguished from a complete one; have the server, "
        "or a proxy before it, end each with finish_reason and an empty line"
    )


def output_length(context_tokens: int) -> int:
    """Return the output tokens of the requests in a context of this length."""
    return min(OUTPUT_TOKENS, max(1, context_tokens // 4))


def probe_text(context_tokens: int) -> str:
    """Return the prompt of the requests to a server that takes no token ids."""
    room = (context_tokens - output_length(context_tokens)) // SENTENCE_TOKENS
    return (SENTENCE * max(1, min(MOST_SENTENCES, room))).strip()


def probe(
    address: Address,
    dialect: Dialect,
    *,
    model: str,
    context_tokens: int,
    text_tokens: int | None = None,
) -> DialectFacts:
    """Send three requests: an exact one, the same again, and one that may end by itself.

    Args:
        text_tokens: tokens of `probe_text`, where they are known; token ids are counted here.

    Raises:
        ServerError: the server refuses one of them, or streams otherwise than declared.
    """
    length = output_length(context_tokens)
    ids = tuple(range(5, 5 + max(1, min(PROMPT_TOKENS, context_tokens - length))))
    prompt = ids if dialect.prompt == IDS else probe_text(context_tokens)
    exact, natural = (Request(0, ids, length, Sampling(), exact) for exact in (True, False))
    first, second, third = (
        _answer(address, dialect, request, prompt, model=model)
        for request in (exact, exact, natural)
    )
    one, again, free = (
        _read(answer.events, exact, dialect, CHUNKS) for answer in (first, second, third)
    )
    usage = one.usage
    return DialectFacts(
        requested=length,
        prompt=len(ids) if dialect.prompt == IDS else text_tokens,
        counts=_counts(first.events, exact, dialect),
        usage_tokens=number_of(usage, OUTPUT),
        usage_prompt_tokens=number_of(usage, PROMPT),
        cached_tokens=cached_of(again.usage),
        natural_tokens=number_of(free.usage, OUTPUT),
        finish_reason=one.finish_reason,
        unfinished=_unfinished([(one, first.rest), (again, second.rest)]),
    )


def check(facts: DialectFacts, dialect: Dialect) -> None:
    """Check that a server can be measured in this dialect.

    Raises:
        ServerError: with all that is missing.
    """
    if faults := facts.faults(dialect):
        raise ServerError(MISCOUNTED, "; ".join(faults))


@dataclass(frozen=True)
class _Answer:
    """One answer as it came."""

    events: Sequence[bytes]
    """Data of each whole event; an answer that came whole is one."""
    rest: bytes
    """The bytes after them."""


def _unfinished(answers: Sequence[tuple[Completion, bytes]]) -> str | None:
    """Return why no answer passes for a complete one; None where all do.

    Raises:
        ServerError: only some of them do, which may pass.
    """
    faults: list[ServerError] = []
    for completion, rest in answers:
        try:
            completion.check_end(rest)
        except ServerError as error:
            faults.append(error)
    if faults and len(faults) < len(answers):
        raise faults[0]
    return str(faults[0]) if faults else None


def _answer(
    address: Address,
    dialect: Dialect,
    request: Request,
    prompt: tuple[int, ...] | str,
    *,
    model: str,
) -> _Answer:
    """Return the answer to one request."""
    body = json.loads(f"{{{dialect.prompt_field(prompt)}}}")
    body |= dialect.body(request, model=model, stream=dialect.streams)
    reply = query(address, dialect.path, body)
    if reply.status != 200:
        raise refusal(reply.status, reply.body, path=address.base + dialect.path)
    streamed = reply.media_type == EVENT_STREAM
    if not streamed:
        Completion(request, dialect).take_whole(reply.body)  # it may be an error, in its own words
    if streamed != dialect.streams:
        raise streamed_anyway() if streamed else not_streamed(reply.media_type)
    if not streamed:
        return _Answer([reply.body], b"")
    stream = EventStream()
    return _Answer(stream.feed(reply.body), stream.rest)


def _read(events: Sequence[bytes], request: Request, dialect: Dialect, way: str) -> Completion:
    """Return an answer whose tokens are counted in one way."""
    completion = Completion(request, replace(dialect, token_counts=way))
    for event in events:
        completion.take_event(event)
    return completion


def _counts(events: Sequence[bytes], request: Request, dialect: Dialect) -> dict[str, int | None]:
    """Return the tokens of an answer by each way to count them, None where it has none."""
    found: dict[str, int | None] = dict.fromkeys((*WAYS, *OTHER_WAYS))
    if not dialect.streams:
        counted = {way: _read(events, request, dialect, way).tokens for way in WHOLE_COUNTS}
        return found | {way: tokens or None for way, tokens in counted.items()}
    for way in found:
        completion = _read(events, request, dialect, way)
        # Usage at the end alone says nothing of single chunks.
        at_once = way == USAGE and completion.chunks < min(2, completion.tokens)
        found[way] = None if at_once else completion.tokens or None
    return found
