"""Records of requests in an engine process: the time of submission and of each token."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.engines.base import UNKNOWN_ID, Engine, EngineError, Request
from worker.workload import Workload

SAMPLED_PROMPTS = 3
"""Number of prompts whose output is kept, to compare engines and cycles."""


@dataclass
class OpenRecord:
    """The part of a request's record that load mode `open` adds."""

    scheduled: float
    """When it arrived by the schedule."""
    input_tokens: int
    requested: int
    """Output tokens that were requested."""
    ended: float | None = None
    """Its last token, or when it failed; None where it was followed no further."""
    fault: str | None = None
    """The engine's message where it failed."""


@dataclass
class RequestRecord:
    """One request; times in s on CLOCK_MONOTONIC."""

    number: int
    """Id of the request."""
    prompt: int
    wave: int | None
    submitted: float
    token_times: list[float] = field(default_factory=list)
    output_ids: list[int] = field(default_factory=list)
    """Kept for the first prompts only."""
    open: "OpenRecord | None" = None
    """None in other load modes than `open`."""

    def add(self, ids: Sequence[int]) -> float:
        """Record tokens that have just come; return their time."""
        now = time.monotonic()
        self.token_times += [now] * len(ids)
        if self.prompt < SAMPLED_PROMPTS:
            self.output_ids += ids
        return now

    def to_json(self, start: float, end: float) -> dict[str, Any]:
        """Return it as it is reported; `counted` is its tokens inside the window [start, end]."""
        return {
            **(vars(self.open) if self.open else {}),
            "prompt": self.prompt,
            "wave": self.wave,
            "submitted": self.submitted,
            "token_times": self.token_times,
            "counted": sum(start <= t <= end for t in self.token_times),
        }


class Recorder:
    """Makes requests from the prompts in turn and stamps their tokens."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self.records: list[RequestRecord] = []
        """By request id."""

    def submit(self, place: int, *, wave: int | None = None) -> Request:
        """Return a request with the prompt at `place` (modulo the prompts), submitted now."""
        prompt = place % len(self._workload.prompts)
        number = len(self.records)
        self.records.append(RequestRecord(number, prompt, wave, time.monotonic()))
        return Request(
            id=number,
            prompt=self._workload.prompts[prompt],
            output_tokens=self._workload.output_tokens,
            sampling=self._workload.sampling,
            exact_length=self._workload.exact_length,
        )

    def on_tokens(self, request: Request, ids: Sequence[int]) -> float:
        """Record tokens that have just come; return their time."""
        return self.records[request.id].add(ids)

    def recount(self, engine: Engine, records: Sequence[RequestRecord]) -> bool:
        """Give complete requests the tokens that the engine knows of only now.

        Returns:
            False where it knew all of them as they came, so that nothing changed.

        Raises:
            EngineError: an answer has none.
        """
        recounted = False
        for record in records:
            counts = engine.chunk_tokens(record.number)
            if counts is None:
                continue
            recounted = True
            pairs = zip(record.token_times, counts, strict=True)
            record.token_times = [at for at, tokens in pairs for _ in range(tokens)]
            if not record.token_times:
                raise EngineError(f"prompt {record.prompt}: the answer has no token")
            if record.output_ids:
                record.output_ids = [UNKNOWN_ID] * len(record.token_times)
        return recounted

    def check_complete(self, records: Sequence[RequestRecord]) -> None:
        """Raise EngineError if a request has more or fewer tokens than requested."""
        wanted = self._workload.output_tokens
        least = wanted if self._workload.exact_length else 1
        for record in records:
            if not least <= len(record.token_times) <= wanted:
                raise EngineError(
                    f"prompt {record.prompt}: the engine produced {len(record.token_times)} "
                    f"tokens instead of {wanted if least == wanted else f'1 to {wanted}'}"
                )


def sample_outputs(records: Sequence[RequestRecord]) -> list[dict[str, Any]]:
    """Return the first output of each of the first prompts."""
    first: dict[int, RequestRecord] = {}
    for record in records:
        if record.prompt < SAMPLED_PROMPTS:
            first.setdefault(record.prompt, record)
    return [
        {"prompt_index": prompt, "output_ids": first[prompt].output_ids} for prompt in sorted(first)
    ]
