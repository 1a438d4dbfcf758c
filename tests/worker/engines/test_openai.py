"""The adapter of servers on a stand-in that is attached: measurements and their faults."""

from typing import Any

import pytest
from tests.worker.backend import Peer
from tests.worker.engines import reference
from tests.worker.engines.reference import (
    measure,
    outputs,
)
from tests.worker.engines.servers import attached, load
from tests.worker.serving.frames import chunked, refusing
from tests.worker.serving.stand_in import answer_whole, serving, vllm


class TestAttached:
    """Against a stand-in: no engine is needed."""

    def test_measures_waves_and_a_constant_stream(self, peer: Peer) -> None:
        with serving(lambda body: chunked(vllm(body))) as server:
            observed = load(peer, attached(server))["observed"]
            waves = measure(peer, [[1, 2], [3, 4, 5]])
            stream = measure(peer, [[1, 2], [3, 4, 5]], mode="closed", minimum_waves=2)
        assert observed["server"] == "attached"
        assert observed["address"] == f"127.0.0.1:{server.port}"
        reference.check_every_token_is_counted(waves, 7)
        assert outputs(waves)[0] == list(range(100, 107))
        assert stream["event"] == "measured"

    def test_tokens_of_answers_that_come_whole_have_the_time_of_their_end(self, peer: Peer) -> None:
        with serving(answer_whole) as server:
            whole = attached(server, streams=False, token_counts="usage")
            observed = load(peer, whole)["observed"]
            measured = measure(peer, [[1, 2], [3, 4, 5]])
        assert observed["tokens_counted_by"] == "usage"
        assert not any(body["stream"] for body in server.requests if "prompt" in body)
        requests = measured["requests"]
        assert {len(request["token_times"]) for request in requests} == {7}
        assert {len(set(request["token_times"])) for request in requests} == {1}
        assert max(r["token_times"][-1] for r in requests) == measured["window"]["end"]
        assert {request["counted"] for request in requests} == {7}

    def test_another_length_of_an_answer_that_comes_whole_is_an_error(self, peer: Peer) -> None:
        def short(body: dict[str, Any]) -> bytes:
            if "max_tokens" not in body:
                return answer_whole(body)
            return answer_whole({**body, "max_tokens": body["max_tokens"] // 2 * 2})

        with serving(short) as server:
            load(peer, attached(server, streams=False, token_counts="usage"))
            error = measure(peer, [[1, 2]])
        assert error["message"] == "prompt 0: the engine produced 6 tokens instead of 7"

    def test_requests_that_arrive_at_a_rate_end_each_for_itself(self, peer: Peer) -> None:
        served = 0

        def now_and_then(body: dict[str, Any]) -> bytes:
            nonlocal served
            served += 1
            if served > 8 and served % 4 == 0:
                return refusing(429, {"error": {"message": "slow down"}})
            return chunked(vllm(body))

        arrivals = {"process": "poisson", "rate": 40.0}
        with serving(now_and_then) as server:
            load(peer, attached(server))
            measured = measure(
                peer, [[1, 2], [3]], mode="open", arrivals=arrivals, minimum_duration_s=1.0
            )
        requests = measured["requests"]
        failed = [request for request in requests if request["fault"]]
        assert {request["fault"] for request in failed} == {"the server answered 429: slow down"}
        assert 0 < len(failed) < len(requests) / 2
        whole = [request for request in requests if not request["fault"]]
        assert all(len(request["token_times"]) == 7 for request in whole)

    def test_a_length_that_is_not_kept_later_is_an_error_too(self, peer: Peer) -> None:
        def short(body: dict[str, Any]) -> bytes:
            return chunked(
                vllm({**body, "max_tokens": body["max_tokens"] - body["max_tokens"] % 2})
            )

        with serving(short) as server:
            load(peer, attached(server))
            error = measure(peer, [[1, 2]])
        assert error["reason"] == "engine_error"
        assert error["message"] == "prompt 0: the engine produced 6 tokens instead of 7"

    def test_answers_may_end_by_themselves_where_the_load_says_so(self, peer: Peer) -> None:
        def natural(body: dict[str, Any]) -> bytes:
            ends = "ignore_eos" not in body
            return chunked(vllm({**body, "max_tokens": 5 if ends else body["max_tokens"]}))

        with serving(natural) as server:
            load(peer, attached(server))
            measured = measure(peer, [[1, 2], [3]], exact_length=False)
            exact = measure(peer, [[1, 2], [3]])
        assert [request["counted"] for request in measured["requests"]] == [5, 5]
        assert measured["warmup"]["throughput"][0] > 0
        assert [request["counted"] for request in exact["requests"]] == [7, 7]

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (refusing(429, {"error": {"message": "slow down"}}), "server_overloaded"),
            (refusing(500, {"error": {"message": "CUDA out of memory"}}), "out_of_memory"),
            (b"", "server_closed"),
        ],
    )
    def test_a_fault_is_reported_by_its_reason(
        self, peer: Peer, answer: bytes, reason: str
    ) -> None:
        tried = [chunked(vllm({"prompt": range(64), "max_tokens": 16}))] * 3
        answers = iter([*tried, *[answer] * 10])
        with serving(lambda _: next(answers), close_after=1) as server:
            load(peer, attached(server))
            assert measure(peer, [[1, 2]])["reason"] == reason
