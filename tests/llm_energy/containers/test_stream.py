"""Output of a process in a container arrives whole and in order, however the connection cuts it."""

import socket
import struct
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.waiting import PATIENCE_S

from llm_energy.containers.stream import STDERR, STDOUT, Frame, Stream

frames = st.lists(
    st.builds(Frame, st.sampled_from([STDOUT, STDERR]), st.binary(max_size=300)), max_size=8
)


def encoded(frame: Frame) -> bytes:
    """As the Docker Engine API says: stream, three zeros, length as a big-endian 32-bit number."""
    return struct.pack(">BxxxL", frame.stream, len(frame.content)) + frame.content


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    yield Stream(ours), theirs
    ours.close()
    theirs.close()


@given(sent=frames, cuts=st.lists(st.integers(1, 50), min_size=1))
def test_frames_arrive_as_they_were_sent_wherever_they_are_cut(sent, cuts):
    ours, theirs = socket.socketpair()
    data = b"".join(map(encoded, sent))

    def send():
        rest, number = data, 0
        while rest:
            size = cuts[number % len(cuts)]
            theirs.sendall(rest[:size])
            rest, number = rest[size:], number + 1
        theirs.close()

    thread = threading.Thread(target=send)
    thread.start()
    stream = Stream(ours)
    assert [stream.receive(time.monotonic() + PATIENCE_S) for _ in sent] == sent
    with pytest.raises(EOFError):
        stream.receive(time.monotonic() + PATIENCE_S)
    thread.join()


def test_a_frame_that_is_not_whole_by_the_deadline_is_waited_for_later(pair):
    stream, engine = pair
    whole = encoded(Frame(STDOUT, b"late"))
    engine.sendall(whole[:10])
    assert stream.receive(time.monotonic()) is None
    engine.sendall(whole[10:])
    assert stream.receive(time.monotonic() + PATIENCE_S) == Frame(STDOUT, b"late")


def test_a_connection_that_ends_within_a_frame_is_lost(pair):
    stream, engine = pair
    engine.sendall(encoded(Frame(STDOUT, b"cut short"))[:12])
    engine.close()
    with pytest.raises(EOFError):
        stream.receive(time.monotonic() + PATIENCE_S)


def test_the_process_sees_the_end_of_its_input(pair):
    stream, engine = pair
    stream.send(b"all there is")
    stream.end_input()
    assert engine.recv(100) == b"all there is"
    assert engine.recv(100) == b""
