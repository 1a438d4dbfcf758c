"""Server-sent events, whole however their bytes are split."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.serving.event_stream import EventStream

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])
NOISE = st.sampled_from([": keep-alive", ":", "id: 7", "event: chunk", "retry: 10", "unknown"])


def fed(body: bytes, cuts: list[int]) -> list[bytes]:
    """Return the events of a body that comes in pieces."""
    stream, events = EventStream(), []
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    for start, end in pairwise(edges):
        events += stream.feed(body[start:end])
    assert stream.rest == b""
    return events


@given(
    st.lists(st.tuples(TEXTS, ENDS, st.none() | NOISE), max_size=8),
    st.lists(st.integers(min_value=0), max_size=30),
)
def test_events_are_the_same_however_their_bytes_are_split(events, cuts):
    body, wanted = "", []
    for text, end, noise in events:
        data = json.dumps({"text": text}, ensure_ascii=False).replace("\u2028", "\\u2028")
        body += f"{noise}{end}{end}" if noise else ""
        body += f"data: {data}{end}{end}"
        wanted.append({"text": text})
    assert [json.loads(event) for event in fed(body.encode(), cuts)] == wanted


def test_split_at_every_byte_through_characters_of_four_bytes():
    body = 'data: {"text": "🎉 é 你"}\r\n\r\n: note\n\ndata:[DONE]\r\r'.encode()
    for cut in range(len(body) + 1):
        assert fed(body, [cut]) == ['{"text": "🎉 é 你"}'.encode(), b"[DONE]"]
    assert fed(body, list(range(len(body)))) == ['{"text": "🎉 é 你"}'.encode(), b"[DONE]"]


def test_lines_of_one_event_are_joined():
    assert fed(b'data: {"a":\ndata:  1}\n\n', []) == [b'{"a":\n 1}']


def test_a_mark_of_the_byte_order_is_no_content():
    assert fed(b"\xef\xbb\xbfdata: 1\n\n", [1, 2]) == [b"1"]


@pytest.mark.parametrize("body", [b"\n\n\n", b"data\n\n", b"data:\n\n", b": only\n\n"])
def test_nothing_is_no_event(body):
    assert fed(body, []) == []


def test_the_beginning_of_an_event_is_what_is_left():
    stream = EventStream()
    assert stream.feed(b'data: 1\n\ndata: {"choi') == [b"1"]
    assert stream.rest == b'data: {"choi'
