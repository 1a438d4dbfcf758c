"""Faults of servers as the client meets them: each is one reason, with the server's words."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.worker.backend import ROOT
from tests.worker.serving import stand_in
from tests.worker.serving.client_runs import IDS, run
from tests.worker.serving.frames import chunked, refusing
from tests.worker.serving.stand_in import DIALECTS, StandIn, request, serving

from llm_energy.results.codes import FAILURES
from worker.serving.address import Address
from worker.serving.dialect import USAGE, Dialect
from worker.serving.faults import (
    CLOSED,
    ENDED,
    FAILED,
    INVALID,
    MISCOUNTED,
    NOT_STARTED,
    OVERLOADED,
    REFUSED,
    STALLED,
    UNFIT,
    ServerError,
)
from worker.serving.load import Client


def test_a_text_that_the_server_splits_otherwise_is_an_error():
    with serving(lambda body: chunked(stand_in.ollama(body))) as server:
        client = Client(server.address, DIALECTS["ollama"][1], model="m", stall_s=30.0)
        client.texts = {(1, 2, 3): "bcde"}
        with pytest.raises(ServerError, match="counts 4 prompt tokens, 3 were sent") as error:
            client.run(iter([request(), None]).__next__, 1, lambda *_: None)
    assert error.value.reason == MISCOUNTED


WITHOUT_USAGE = {"choices": [{"text": "a", "finish_reason": "length"}]}


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (refusing(429, {"error": {"message": "slow down"}}), OVERLOADED, "slow down"),
        (refusing(200, {"error": {"message": "died"}}), FAILED, "died"),
        (refusing(200, b"<html>"), INVALID, "no JSON"),
        (refusing(200, b'{"choices": [{"te')[:-4], CLOSED, "in the middle of an answer"),
        (refusing(200, {"choices": [{"text": "a"}]}), CLOSED, "unfinished"),
        (
            refusing(
                200,
                {
                    "choices": [{"text": "a", "finish_reason": "length"}],
                    "usage": {"prompt_tokens": 4, "completion_tokens": 5},
                },
            ),
            MISCOUNTED,
            "4 prompt tokens, 3 were sent",
        ),
        *(
            (refusing(200, WITHOUT_USAGE | {"usage": usage}), MISCOUNTED, "no usage.completion_tok")
            for usage in (None, [5], "5")
        ),
        *(
            (
                refusing(200, WITHOUT_USAGE | {"usage": {"completion_tokens": n}}),
                MISCOUNTED,
                "no us",
            )
            for n in ("5", 5.0, True, -5, 0, 10**12, None, [5])
        ),
        (
            chunked(DIALECTS["vllm"][0]({"prompt": [1, 2, 3], "max_tokens": 5})),
            INVALID,
            "the server streams, though",
        ),
    ],
)
def test_a_fault_of_an_answer_that_is_not_streamed_is_the_same(answer, reason, words):
    with (
        serving(lambda _: answer, close_after=1) as server,
        pytest.raises(ServerError, match=words) as error,
    ):
        run(server, Dialect(USAGE, streams=False), [request()])
    assert error.value.reason == reason


def events(*contents: Any) -> bytes:
    return chunked([f"data: {json.dumps(content)}\n\n" for content in contents])


def token(finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"text": "a", "finish_reason": finish, "token_ids": [1]}], **more}


def usage(prompt: int = 3, tokens: int = 1, cached: int = 0) -> dict[str, Any]:
    counts = {"prompt_tokens": prompt, "completion_tokens": tokens}
    return {"usage": counts | {"prompt_tokens_details": {"cached_tokens": cached}}}


CUT = events(token(), token())[:-30]

FAULTS: dict[str, tuple[bytes, str, str]] = {
    "too many": (refusing(429, {"error": {"message": "slow down"}}), OVERLOADED, "slow down"),
    "unavailable": (refusing(503, {"error": {"message": "Loading model"}}), OVERLOADED, "Loading"),
    "unknown field": (refusing(422, {"detail": "ignore_eos: extra"}), REFUSED, "ignore_eos: extra"),
    "not allowed": (
        refusing(401, {"message": "bad key", "code": 401}),
        REFUSED,
        "401: bad key; token_variable",
    ),
    "broken": (refusing(500, b"<h1>Internal</h1>"), FAILED, "500: <h1>Internal</h1>"),
    "no words": (refusing(502, b""), FAILED, "502: no message"),
    "error in the stream": (events(token(), {"error": {"message": "died"}}), FAILED, "died"),
    "code in the stream": (
        events({"error": {"message": "queue is full", "code": 429}}),
        OVERLOADED,
        "queue is full",
    ),
    "half a chunk": (CUT, CLOSED, "after 1 tokens"),
    "nothing": (b"", CLOSED, "without an answer"),
    "invalid JSON": (chunked(['data: {"choices": [}\n\n']), INVALID, '{"choices": [}'),
    "no object": (chunked(["data: [1, 2]\n\n"]), INVALID, "[1, 2]"),
    "no HTTP": (b"hello there\r\n\r\n", INVALID, "hello there"),
    "no end": (events(token(), token()), CLOSED, "after 2 tokens, unfinished"),
    "no stream": (
        refusing(200, {"choices": [{"text": "a", "finish_reason": "length"}]}),
        INVALID,
        "does not stream: it answered with no content-type",
    ),
    "half an event": (
        chunked([f"data: {json.dumps(token('length'))}\n\n", 'data: {"cho']),
        CLOSED,
        "inside a chunk",
    ),
    "aborted": (events(token("abort")), FAILED, "abort"),
    "other count": (events(token("length"), {"choices": [], **usage(tokens=2)}), MISCOUNTED, "2"),
    "other prompt": (events(token("length", **usage(prompt=4))), MISCOUNTED, "4 prompt tokens"),
    "from a cache": (events(token("length", **usage(cached=2))), MISCOUNTED, "prefix cache"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_ends_as_its_reason_with_the_servers_words(name):
    answer, reason, words = FAULTS[name]
    with (
        serving(lambda _: [answer, b""], close_after=1) as server,
        pytest.raises(ServerError) as error,
    ):
        run(server, IDS, [request(tokens=1)])
    assert error.value.reason == reason, str(error.value)
    assert words in str(error.value)


def test_every_documented_reason_is_raised():
    """Here, or in tests/worker/engines/test_openai_load.py by a real engine process."""
    text = (ROOT / "docs/servers.md").read_text()
    documented = re.findall(r"^\| `(server_\w+)` \|", text, re.MULTILINE)
    raised = {reason for _, reason, _ in FAULTS.values()} | {STALLED, ENDED, NOT_STARTED, UNFIT}
    assert set(documented) == raised == {name for name in FAILURES if name.startswith("server_")}


@pytest.mark.parametrize("cut", range(1, len(events(token("length"), token("length")))))
def test_an_answer_that_is_cut_anywhere_is_an_error(cut):
    answer = events(token("length"), token("length"))[:cut]
    with serving(lambda _: answer, close_after=1) as server, pytest.raises(ServerError) as error:
        run(server, IDS, [request(tokens=2)])
    assert error.value.reason == CLOSED


def test_a_server_that_stalls_is_given_up_after_its_silence():
    def answer(_: dict[str, Any]) -> Iterator[bytes]:
        yield events(token(), token())[:-20]
        time.sleep(5.0)

    class Slow(StandIn):
        def _serve(self, connection: Any) -> None:
            with connection:
                connection.recv(65536)
                for piece in answer({}):
                    connection.sendall(piece)

    server = Slow(lambda _: b"")
    with pytest.raises(ServerError) as error:
        run(server, IDS, [request(tokens=9)], stall_s=0.2)
    server.close()
    assert error.value.reason == STALLED
    assert "sent nothing for 0.2 s" in str(error.value)


def test_a_silence_that_may_be_an_answer_on_its_way_names_the_key():
    with serving(lambda _: [b""]) as server, pytest.raises(ServerError) as error:
        run(server, Dialect(USAGE, streams=False), [request()], stall_s=0.2)
    assert error.value.reason == STALLED
    assert str(error.value).endswith("; an answer comes whole: is stall_s too short for it?")


def test_nobody_listening_is_an_error():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # so that nobody else gets its port
        address = Address("127.0.0.1", held.getsockname()[1])
        client = Client(address, IDS, model="m", stall_s=30.0)
        with pytest.raises(ServerError) as error:
            client.run(iter([request(), None]).__next__, 1, lambda *_: None)
    assert error.value.reason == CLOSED
    assert "cannot be reached" in str(error.value)


def test_what_a_failed_wave_had_in_flight_is_given_up():
    answers: list[Callable[[dict[str, Any]], bytes]] = [
        lambda _: refusing(500, b"once"),
        *[lambda body: chunked(stand_in.vllm(body))] * 9,
    ]
    with serving(lambda body: answers.pop(0)(body)) as server:
        client = Client(server.address, IDS, model="m", stall_s=30.0)
        requests = iter([request(0), request(1), None])
        with pytest.raises(ServerError):
            client.run(requests.__next__, 2, lambda *_: None)
        taken: list[int] = []
        client.run(iter([request(2), None]).__next__, 1, lambda _, ids: taken.extend(ids))
    assert len(taken) == 5
