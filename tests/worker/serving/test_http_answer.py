"""Answers of HTTP/1.1, the same however their bytes are split."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.serving.faults import CLOSED, INVALID, ServerError
from worker.serving.http_answer import HttpAnswer

HEAD = b"HTTP/1.1 200 OK\r\nX-Y: z\r\n"


def fed(message: bytes, cuts: list[int]) -> tuple[HttpAnswer, bytes]:
    answer, body = HttpAnswer(), b""
    edges = [0, *sorted(cut % (len(message) + 1) for cut in cuts), len(message)]
    for start, end in pairwise(edges):
        body += answer.feed(message[start:end])
    return answer, body


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=5),
    st.booleans(),
    st.lists(st.integers(min_value=0), max_size=40),
)
def test_a_body_is_the_same_however_it_is_framed_and_split(parts, in_chunks, cuts):
    body = b"".join(parts)
    if in_chunks:
        chunks = b"".join(b"%X;ext=1\r\n%b\r\n" % (len(part), part) for part in parts)
        message = HEAD + b"Transfer-Encoding: Chunked\r\n\r\n" + chunks + b"0\r\nTrailer: t\r\n\r\n"
    else:
        message = HEAD + b"content-length: %d\r\n\r\n" % len(body) + body
    answer, found = fed(message, cuts)
    assert found == body
    assert answer.complete
    assert answer.reusable
    assert (answer.status, answer.headers["x-y"]) == (200, "z")


def test_split_at_every_byte():
    chunks = b"5\r\nh\xc3\xa9\r\n\r\n3;a=b\r\n\xe4\xbd\xa0\r\n0\r\n\r\n"
    message = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
    for cuts in ([], *([cut] for cut in range(len(message) + 1)), list(range(len(message)))):
        answer, body = fed(message, cuts)
        assert body.decode() == "hé\r\n你"
        assert answer.complete


def test_the_end_of_the_connection_ends_a_body_without_a_length():
    answer, body = fed(HEAD + b"\r\nabc", [3, 20])
    assert not answer.complete
    answer.end()
    assert (answer.complete, body) == (True, b"abc")


def test_a_note_before_the_answer_is_no_answer():
    answer, body = fed(b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"Content-Length: 1\r\n\r\nx", [])
    assert (answer.status, body) == (200, b"x")


def test_a_connection_that_the_server_closes_carries_no_other_request():
    answer, _ = fed(b"HTTP/1.1 204 No\r\nConnection: Close\r\n\r\n", [])
    assert answer.complete
    assert not answer.reusable


@pytest.mark.parametrize(
    "message",
    [
        HEAD + b"Content-Length: 4\r\n\r\nabc",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        HEAD,
        b"",
    ],
)
def test_an_answer_that_ends_too_early_is_an_error(message):
    answer, _ = fed(message, [])
    with pytest.raises(ServerError) as error:
        answer.end()
    assert error.value.reason == CLOSED


@pytest.mark.parametrize(
    "message",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 two hundred\r\n",
        HEAD + b"no header\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n11111111111111111\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        b"x" * 70_000,
    ],
)
def test_nonsense_is_an_error(message):
    for cuts in ([], list(range(0, min(len(message), 200)))):
        with pytest.raises(ServerError) as error:
            fed(message, cuts)
        assert error.value.reason == INVALID
