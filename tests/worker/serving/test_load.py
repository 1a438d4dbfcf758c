"""The client against a server that speaks the dialects of real ones, with their faults."""

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.waiting import PATIENCE_S, wait_until
from tests.worker.backend import ROOT
from tests.worker.serving import stand_in
from tests.worker.serving.stand_in import DIALECTS, StandIn, chunked, refusing, request, serving

from llm_energy.results.codes import FAILURES
from worker.engines.base import UNKNOWN_ID, Request
from worker.serving.address import Address
from worker.serving.completion import Completion
from worker.serving.dialect import CHUNKS, TOKEN_IDS, USAGE, Dialect
from worker.serving.dialect import IDS as IDS_FORM
from worker.serving.event_stream import EventStream
from worker.serving.faults import (
    CLOSED,
    ENDED,
    FAILED,
    INVALID,
    MISCOUNTED,
    OVERLOADED,
    REFUSED,
    STALLED,
    UNFIT,
    ServerError,
)
from worker.serving.http_answer import HttpAnswer
from worker.serving.load import Client

FRAMES = (stand_in.chunked, stand_in.whole, stand_in.until_closed)
IDS = Dialect(TOKEN_IDS)


def run(
    server: StandIn, dialect: Dialect, requests: list[Request], *, slots: int = 2, **changes: Any
) -> tuple[dict[int, list[list[int]]], Client]:
    """Return the ids of each chunk of each request, and the client."""
    client = Client(server.address, dialect, model="m", **{"stall_s": 30.0} | changes)
    if dialect.prompt != IDS_FORM:
        client.texts = {one.prompt: stand_in.letters(one.prompt) for one in requests}
    taken: dict[int, list[list[int]]] = {one.id: [] for one in requests}
    remaining = iter(requests)
    client.run(
        lambda: next(remaining, None), slots, lambda one, ids: taken[one.id].append(list(ids))
    )
    client.close()
    return taken, client


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_gives_every_token_once(name, frame):
    answer, dialect = DIALECTS[name]
    with serving(lambda body: frame(answer(body))) as server:
        requests = [request(number, tokens=1 + number, prompt=2 + number) for number in range(7)]
        taken, client = run(server, dialect, requests)
    for one in requests:
        assert sum(map(len, taken[one.id])) == one.output_tokens
    assert client.counts.tokens == sum(one.output_tokens for one in requests)
    assert client.counts.largest == {"llama_cpp": 3, "openai": 2, "ollama": 2}.get(name, 1)


@pytest.mark.parametrize("name", DIALECTS)
@given(st.lists(st.integers(min_value=0), max_size=40))
def test_tokens_do_not_depend_on_how_bytes_are_split(name, cuts):
    answer, dialect = DIALECTS[name]
    one = request(tokens=9)
    body = "".join(answer(stand_in.body_of(one, dialect))).encode()
    stream, completion, ids = EventStream(), Completion(one, dialect), []
    edges = [0, *sorted(cut % len(body) for cut in cuts), len(body)]
    for start, end in pairwise(edges):
        for event in stream.feed(body[start:end]):
            ids += completion.take_event(event)
    completion.check(stream.rest)
    assert len(ids) == 9


@pytest.mark.parametrize("name", DIALECTS)
@given(st.data())
def test_tokens_do_not_depend_on_comments_on_the_last_word_or_on_the_place_of_usage(name, data):
    answer, dialect = DIALECTS[name]
    one = request(tokens=9)
    sent = answer(stand_in.body_of(one, dialect))
    usage = [event for event in sent if '"choices": []' in event]
    events = [event for event in sent if event not in usage and "[DONE]" not in event]
    for event in [*usage, *data.draw(st.lists(st.sampled_from([": keep-alive\n\n", "\r\n"])))]:
        events.insert(data.draw(st.integers(0, len(events))), event)
    if data.draw(st.booleans()):
        events.append("data: [DONE]\n\n")
    stream, completion = EventStream(), Completion(one, dialect)
    taken = [completion.take_event(event) for event in stream.feed("".join(events).encode())]
    completion.check(stream.rest)
    assert sum(map(len, taken)) == 9


@pytest.mark.parametrize("name", DIALECTS)
def test_an_answer_split_at_any_byte_is_the_same(name):
    """Through all three readers: of HTTP, of events, of completions."""
    answer, dialect = DIALECTS[name]
    one = request(tokens=4)
    message = chunked(answer(stand_in.body_of(one, dialect)))
    for cut in range(len(message) + 1):
        http, stream, completion = HttpAnswer(), EventStream(), Completion(one, dialect)
        for piece in (message[:cut], message[cut:]):
            for event in stream.feed(http.feed(piece)):
                completion.take_event(event)
        completion.check(stream.rest)
        assert (http.complete, completion.tokens) == (True, 4), cut


@pytest.mark.parametrize("name", ["vllm", "ollama"])
def test_usage_may_come_before_the_last_token(name):
    answer, dialect = DIALECTS[name]

    def early(body: dict[str, Any]) -> bytes:
        *tokens, last, usage, done = answer(body)
        return chunked([*tokens[:-1], usage, tokens[-1], last, done])

    with serving(early) as server:
        taken, _ = run(server, dialect, [request(tokens=7)])
    assert sum(map(len, taken[0])) == 7


def test_ids_are_those_of_the_server_and_unknown_where_it_has_none():
    with serving(lambda body: chunked(stand_in.vllm(body))) as server:
        assert run(server, IDS, [request(tokens=3)])[0] == {0: [[100], [101], [102]]}
    with serving(lambda body: chunked(stand_in.llama_cpp(body))) as server:
        taken, _ = run(server, DIALECTS["llama_cpp"][1], [request(tokens=4)])
    assert taken == {0: [[101], [UNKNOWN_ID, UNKNOWN_ID, 104]]}


def test_a_request_is_spelled_as_its_server_wants_it():
    with serving(lambda body: chunked(stand_in.tensorrt(body))) as server:
        dialect = DIALECTS["tensorrt"][1]
        run(server, dialect, [request(tokens=4)])
        drawn = replace(request(tokens=4, temperature=0.5, seed=3), exact_length=False)
        run(server, dialect, [drawn])
    greedy, natural = server.requests
    same = {"prompt": [1, 2, 3], "model": "m", "max_tokens": 4, "stream": True}
    assert greedy == same | {"temperature": 0.0, "min_tokens": 4}
    assert natural == same | {"temperature": 0.5, "top_p": 1.0, "top_k": 0, "seed": 3}


def test_a_text_stands_for_a_prompt_where_the_server_takes_no_ids():
    with serving(lambda body: chunked(stand_in.ollama(body))) as server:
        run(server, DIALECTS["ollama"][1], [request(tokens=2)])
    with serving(lambda body: chunked(stand_in.chat(body))) as chat:
        run(chat, DIALECTS["chat"][1], [request(tokens=2)])
    same = {"model": "m", "max_tokens": 2, "temperature": 0.0, "stream": True}
    assert server.requests == [same | {"prompt": "bcd"}]
    assert server.heads[0].startswith("POST /v1/completions ")
    assert chat.requests == [same | {"messages": [{"role": "user", "content": "bcd"}]}]
    assert chat.heads[0].startswith("POST /v1/chat/completions ")


def test_a_text_that_the_server_splits_otherwise_is_an_error():
    with serving(lambda body: chunked(stand_in.ollama(body))) as server:
        client = Client(server.address, DIALECTS["ollama"][1], model="m", stall_s=30.0)
        client.texts = {(1, 2, 3): "bcde"}
        with pytest.raises(ServerError, match="counts 4 prompt tokens, 3 were sent") as error:
            client.run(iter([request(), None]).__next__, 1, lambda *_: None)
    assert error.value.reason == MISCOUNTED


def test_texts_of_answers_are_kept_where_nothing_counts_their_tokens():
    answer, dialect = stand_in.BARE
    with serving(lambda body: chunked(answer(body))) as server:
        taken, client = run(server, dialect, [request(0, tokens=8), request(1, tokens=3)])
    assert client.answers == {0: ["Paris", " is é", "🎉 the", " 你"], 1: ["Paris", " is"]}
    assert {number: len(chunks) for number, chunks in taken.items()} == {0: 4, 1: 2}


def test_the_secret_is_sent_and_is_in_no_text():
    with serving(lambda body: chunked(stand_in.vllm(body))) as server:
        address = type(server.address)("127.0.0.1", server.port, token="s3cret")
        Client(address, IDS, model="m", stall_s=30.0).run(
            iter([request(), None]).__next__, 1, lambda *_: None
        )
    assert "Authorization: Bearer s3cret" in server.heads[0]
    assert "s3cret" not in repr(address)


def test_connections_are_used_again():
    with serving(lambda body: chunked(stand_in.vllm(body))) as server:
        run(server, IDS, [request(number) for number in range(20)], slots=3)
        assert server.connections == 3


def test_a_connection_that_was_closed_while_it_was_idle_is_replaced():
    with serving(lambda body: chunked(stand_in.vllm(body)), close_after=1) as server:
        client = Client(server.address, IDS, model="m", stall_s=30.0)
        for number in range(3):
            client.run(iter([request(number), None]).__next__, 1, lambda *_: None)
            wait_until(lambda: server.closed == server.connections, what="it is closed")
        assert server.connections == 3
        taken, _ = run(server, IDS, [request(number) for number in range(6)], slots=2)
    assert all(len(chunks) == 5 for chunks in taken.values())


def test_never_more_requests_in_flight_than_slots():
    in_flight, most, four = set(), [], threading.Barrier(4)

    def answer(body: dict[str, Any]) -> bytes:
        in_flight.add(id(body))
        most.append(len(in_flight))
        four.wait(PATIENCE_S)
        in_flight.discard(id(body))
        return chunked(stand_in.vllm(body))

    with serving(answer) as server:
        run(server, IDS, [request(number) for number in range(12)], slots=4)
    assert max(most) == 4


@pytest.mark.parametrize("declared", [False, True])
def test_an_answer_that_is_not_streamed(declared):
    def answer(body: dict[str, Any]) -> bytes:
        assert body["stream"] is False
        assert "stream_options" not in body
        usage = {"prompt_tokens": 3, "completion_tokens": 5}
        content = {"choices": [{"text": "abc", "finish_reason": "length"}], "usage": usage}
        return refusing(200, content)

    with serving(answer) as server:
        counts = USAGE if declared else CHUNKS
        options = {"stream_options": {"include_usage": True}}
        dialect = Dialect(counts, options, streams=not declared)
        client = Client(server.address, dialect, model="m", stall_s=30.0)
        client.each_token = declared
        taken: list[int] = []
        client.run(iter([request(), None]).__next__, 1, lambda _, ids: taken.extend(ids))
    assert len(taken) == 5


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
    """Here, or in tests/worker/engines/test_openai.py by a real engine process."""
    text = (ROOT / "docs/servers.md").read_text()
    documented = re.findall(r"^\| `(server_\w+)` \|", text, re.MULTILINE)
    raised = {reason for _, reason, _ in FAULTS.values()} | {STALLED, ENDED, UNFIT}
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


def test_a_large_request_is_sent_while_answers_are_read():
    with serving(lambda body: chunked(stand_in.vllm(body))) as server:
        requests = [request(number, prompt=400_000, tokens=3) for number in range(3)]
        taken, _ = run(server, IDS, requests, slots=3)
    assert all(len(chunks) == 3 for chunks in taken.values())
