"""The numbers of a result that its requests and the edges of its window determine."""

from collections.abc import Sequence
from dataclasses import dataclass

from llm_energy.measurement import open_requests, window
from llm_energy.results.parts import Drift, Latency, Tokens


@dataclass(frozen=True)
class RequestNumbers:
    """Counts, latencies and drift of a window."""

    tokens: Tokens
    latency: Latency
    drift: Drift


def request_numbers(
    requests: Sequence[window.RequestRecord],
    *,
    input_lengths: Sequence[int],
    start: float,
    end: float,
    waves: int | None = None,
    passes: int | None = None,
    is_open: bool = False,
    in_chunks: bool = False,
    streamed: bool = True,
) -> RequestNumbers:
    """Return the numbers of the window [start, end].

    Args:
        input_lengths: as of `window.tokens`.
        waves: as of `window.drift`, with `passes`.
        is_open: load mode `open`, in which requests count by their scheduled arrival.
        in_chunks: as of `window.latency`, with `streamed`.
    """
    if is_open:
        latency = open_requests.latency(requests, start=start, end=end, in_chunks=in_chunks)
    else:
        latency = window.latency(
            requests, start=start, end=end, in_chunks=in_chunks, streamed=streamed
        )
    return RequestNumbers(
        tokens=window.tokens(requests, input_lengths=input_lengths, start=start, end=end),
        latency=latency,
        drift=window.drift(requests, start=start, end=end, waves=waves, passes=passes),
    )
