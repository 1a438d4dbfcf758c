"""The window of load mode `waves`, on an engine whose waves all take the same time."""

from collections.abc import Sequence

import pytest
from tests.backends.sleep.sleep import SleepEngine
from tests.worker.backend import workload
from tests.worker.virtual_engine import Clock, virtual_clock  # noqa: F401

from worker.engines.base import OnTokens, Request
from worker.protocol import encode, parse_request
from worker.waves import Waves, last_token
from worker.workload import Workload

WAVES_PER_PASS = 2


class Paced(SleepEngine):
    """Every wave takes the same time, in s."""

    def __init__(self, clock: Clock, wave_s: float) -> None:
        super().__init__()
        self._clock, self._wave_s = clock, wave_s

    def wave(self, requests: Sequence[Request], on_tokens: OnTokens) -> None:
        self._clock.sleep(self._wave_s)
        for request in requests:
            on_tokens(request, [7] * request.output_tokens)


def load(**changes: object) -> Workload:
    request = {"op": "measure", "deadline_s": 1, "workload": workload(**changes)}
    read: Workload = parse_request(encode(request)).workload  # type: ignore[union-attr]
    assert read.waves_per_pass == WAVES_PER_PASS
    return read


@pytest.mark.parametrize(
    ("wave_s", "planned", "passes"),
    [
        (1.0, 5, 5),  # as fast as in the warm-up
        (1.25, 5, 5),  # slower: longer than it must be, and no pass fewer
        (0.99, 5, 6),  # 9.9 s after the planned passes
        (0.5, 5, 10),
    ],
)
def test_a_window_keeps_its_minimum_duration_in_whole_passes(
    virtual_clock: Clock,  # noqa: F811
    wave_s: float,
    planned: int,
    passes: int,
) -> None:
    waves = Waves(Paced(virtual_clock, wave_s), load())
    records, done = waves.window(planned, 10.0)
    assert done == passes
    assert [record.wave for record in records] == [
        wave for wave in range(passes * WAVES_PER_PASS) for _ in range(2)
    ]
    assert last_token(records) - records[0].submitted >= 10.0


def test_a_window_of_single_requests_begins_with_its_first(virtual_clock: Clock) -> None:  # noqa: F811
    alone = load(batch_size=1, prompts=[[1], [2]])
    _, done = Waves(Paced(virtual_clock, 1.0), alone).window(5, 10.0)
    assert done == 5
