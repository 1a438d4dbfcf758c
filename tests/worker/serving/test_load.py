"""The client against a server that speaks the dialects of real ones, with their faults."""

import threading
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.waiting import PATIENCE_S, wait_until
from tests.worker.serving import stand_in
from tests.worker.serving.client_runs import IDS, run
from tests.worker.serving.frames import chunked, refusing, until_closed, whole
from tests.worker.serving.stand_in import DIALECTS, request, serving

from worker.engines.base import UNKNOWN_ID
from worker.serving.completion import Completion
from worker.serving.dialect import CHUNKS, USAGE, Dialect
from worker.serving.event_stream import EventStream
from worker.serving.http_answer import HttpAnswer
from worker.serving.load import Client

FRAMES = (chunked, whole, until_closed)


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


def test_a_large_request_is_sent_while_answers_are_read():
    with serving(lambda body: chunked(stand_in.vllm(body))) as server:
        requests = [request(number, prompt=400_000, tokens=3) for number in range(3)]
        taken, _ = run(server, IDS, requests, slots=3)
    assert all(len(chunks) == 3 for chunks in taken.values())
