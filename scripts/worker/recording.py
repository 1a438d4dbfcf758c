"""What an engine process notes of its requests: when they were submitted, when each token came."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.engines.base import EngineError, Request
from worker.workload import Workload

SAMPLED_PROMPTS = 3
"""Of so many prompts the output is kept, to compare engines and cycles by."""


@dataclass
class RequestRecord:
    """One request; times in s on CLOCK_MONOTONIC."""

    prompt: int
    wave: int | None
    submitted: float
    token_times: list[float] = field(default_factory=list)
    output_ids: list[int] = field(default_factory=list)
    """Kept for the first prompts only."""

    def to_json(self, start: float, end: float) -> dict[str, Any]:
        """As it is reported; `counted` are its tokens inside the window [start, end]."""
        return {
            "prompt": self.prompt,
            "wave": self.wave,
            "submitted": self.submitted,
            "token_times": self.token_times,
            "counted": sum(start <= t <= end for t in self.token_times),
        }


class Recorder:
    """Makes requests out of the prompts in turn, and stamps their tokens."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self.records: list[RequestRecord] = []
        """By request id."""

    def submit(self, place: int, *, wave: int | None = None) -> Request:
        """The request with the prompt at `place` (counted on over the end), submitted now."""
        prompt = place % len(self._workload.prompts)
        self.records.append(RequestRecord(prompt, wave, time.monotonic()))
        return Request(
            id=len(self.records) - 1,
            prompt=self._workload.prompts[prompt],
            output_tokens=self._workload.output_tokens,
            sampling=self._workload.sampling,
        )

    def on_tokens(self, request: Request, ids: Sequence[int]) -> float:
        """Note tokens that are there now; returns the time that they were given."""
        now = time.monotonic()
        record = self.records[request.id]
        record.token_times += [now] * len(ids)
        if record.prompt < SAMPLED_PROMPTS:
            record.output_ids += ids
        return now

    def check_complete(self, records: Sequence[RequestRecord]) -> None:
        """Raises EngineError if a request has not exactly the tokens that were asked for."""
        wanted = self._workload.output_tokens
        for record in records:
            if len(record.token_times) != wanted:
                raise EngineError(
                    f"prompt {record.prompt}: the engine produced {len(record.token_times)} "
                    f"tokens instead of {wanted}"
                )


def sample_outputs(records: Sequence[RequestRecord]) -> list[dict[str, Any]]:
    """The first output of each of the first prompts."""
    first: dict[int, RequestRecord] = {}
    for record in records:
        if record.prompt < SAMPLED_PROMPTS:
            first.setdefault(record.prompt, record)
    return [
        {"prompt_index": prompt, "output_ids": first[prompt].output_ids} for prompt in sorted(first)
    ]
