"""The account of requests in an engine process, on times that are given."""

from typing import Any

import pytest
from tests.worker.backend import PROMPTS
from tests.worker.sleeping import read

from worker.engines.base import UNKNOWN_ID, EngineError, Request
from worker.recording import Recorder, RequestRecord, sample_outputs
from worker.workload import Sampling


def record(
    *token_times: float, number: int = 0, prompt: int = 0, ids: list[int] | None = None
) -> RequestRecord:
    return RequestRecord(number, prompt, None, 1.0, list(token_times), ids or [])


def test_tokens_at_both_edges_of_the_window_are_counted() -> None:
    report = record(9.9, 10.0, 11.0, 12.0, 12.1, prompt=2).to_json(10.0, 12.0)
    times = [9.9, 10.0, 11.0, 12.0, 12.1]
    assert report == {
        "prompt": 2, "wave": None, "submitted": 1.0, "token_times": times, "counted": 3,
    }  # fmt: skip


def test_prompts_are_taken_in_turn_and_requests_numbered_as_they_come() -> None:
    recorder = Recorder(read(sampling={"temperature": 0.5}))
    sampling = Sampling(temperature=0.5)
    for number, place in enumerate((3, 4, 9)):
        prompt = place % len(PROMPTS)
        expected = Request(number, tuple(PROMPTS[prompt]), 5, sampling)
        assert recorder.submit(place, wave=7) == expected
        assert (recorder.records[-1].prompt, recorder.records[-1].wave) == (prompt, 7)


def test_the_tokens_of_one_call_share_its_time_and_only_the_first_prompts_keep_their_ids() -> None:
    recorder = Recorder(read())
    requests = [recorder.submit(place) for place in range(4)]
    for request in requests:
        moment = recorder.on_tokens(request, [7, 8])
        assert recorder.on_tokens(request, [9]) >= moment
        kept = recorder.records[request.id]
        assert kept.token_times[:2] == [moment, moment]
        assert len(kept.token_times) == 3
    assert [each.output_ids for each in recorder.records] == [[7, 8, 9]] * 3 + [[]]


def test_answers_of_natural_length_have_a_token_at_least() -> None:
    recorder = Recorder(read(exact_length=False))
    assert not recorder.submit(0).exact_length
    recorder.check_complete([record(2.0), record(2.0, 3.0, 4.0, 5.0, 6.0)])
    for count in (0, 6):
        with pytest.raises(EngineError, match=f"{count} tokens instead of 1 to 5"):
            recorder.check_complete([record(*[2.0] * count)])


class Retokenising:
    """An engine that knows the tokens of each chunk only when the answers are there."""

    def __init__(self, counts: dict[int, list[int]]) -> None:
        self._counts = counts

    def chunk_tokens(self, number: int) -> list[int] | None:
        return self._counts.get(number)


def test_every_token_of_a_chunk_gets_the_time_of_its_chunk() -> None:
    recorder = Recorder(read())
    unknown, counted = record(1.0, 2.0, number=1), record(1.0, 1.5, 4.0, number=2, ids=[7, 7, 7])
    engine: Any = Retokenising({2: [2, 0, 3]})
    assert recorder.recount(engine, [unknown, counted])
    assert not recorder.recount(engine, [unknown])
    assert unknown.token_times == [1.0, 2.0]
    assert counted.token_times == [1.0, 1.0, 4.0, 4.0, 4.0]
    assert counted.output_ids == [UNKNOWN_ID] * 5
    empty: Any = Retokenising({1: [0, 0]})
    with pytest.raises(EngineError, match="prompt 0: the answer has no token"):
        recorder.recount(empty, [unknown])


def test_the_first_output_of_each_of_three_prompts_is_a_sample() -> None:
    kept = [record(prompt=prompt, ids=[n]) for n, prompt in enumerate((2, 3, 0, 2, 0, 1))]
    assert sample_outputs(kept) == [
        {"prompt_index": 0, "output_ids": [2]},
        {"prompt_index": 1, "output_ids": [5]},
        {"prompt_index": 2, "output_ids": [0]},
    ]


@pytest.mark.parametrize("count", [4, 6])
def test_a_request_of_another_length_is_an_error_wherever_it_stands(count: int) -> None:
    recorder = Recorder(read())
    recorder.check_complete([record(*[1.0] * 5)])
    records: list[Any] = [record(*[1.0] * 5), record(*[1.0] * count, prompt=1)]
    with pytest.raises(EngineError, match=f"prompt 1: the engine produced {count} tokens"):
        recorder.check_complete(records)
