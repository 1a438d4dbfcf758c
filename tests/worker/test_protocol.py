"""Lines become requests or a clear refusal, whatever bytes they hold."""

import json
import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.worker.backend import workload

from worker import protocol
from worker.protocol import Hello, Load, Measure, ProtocolError, Steady, parse_request

scalars = st.none() | st.booleans() | st.integers() | st.text()
json_values = st.recursive(
    scalars | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values))
def test_a_message_survives_its_line(message: dict[str, object]) -> None:
    line = protocol.encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert protocol.decode(line) == message


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_json_is_not_written(value: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        protocol.encode({"value": value})


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_never_crashes(line: bytes) -> None:
    with suppress(ProtocolError):  # any other exception fails the test
        parse_request(line)


@given(
    st.dictionaries(st.text(), json_values | st.floats(), max_size=4),
    st.sampled_from([*protocol.OPERATIONS]),
)
def test_wrong_fields_are_refused_and_never_crash(fields: dict[str, object], op: str) -> None:
    with suppress(ProtocolError):
        parse_request(json.dumps({**fields, "op": op}).encode())


@given(st.data())
def test_a_truncated_request_is_refused(data: st.DataObject) -> None:
    line = json.dumps({"op": "measure", "deadline_s": 1.0, "workload": workload()}).encode()
    cut = data.draw(st.integers(0, len(line) - 1))
    with pytest.raises(ProtocolError):
        parse_request(line[:cut])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"[" * 100_000, "not JSON"),
        (b"1" * 100_000, "not JSON"),
        (b'{"op": NaN}', "not JSON: NaN is no JSON"),
        (b"{}", "op: must be one of hello, load, measure, steady, unload, stop, not None"),
        (b'{"op": ["hello"]}', "op: must be one of"),
        (b'{"op": "hello"}', "hello.protocol: missing"),
        (b'{"op": "hello", "protocol": "1"}', "hello.protocol: must be a whole number, not '1'"),
        (b'{"op": "load", "deadline_s": 1, "key": "k", "engine": {}}', "load.engine.backend: miss"),
    ],
)
def test_a_refusal_says_what_is_wrong(line: bytes, message: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_request(line)
    assert str(caught.value).startswith(message)


def test_each_operation_has_its_request() -> None:
    assert parse_request(b'{"op": "hello", "protocol": 1}') == Hello(protocol=1)
    assert parse_request(b'{"op": "steady", "value": true}') == Steady(value=True)
    engine = {"backend": "b", "model_path": "p", "dtype": "auto", "context_tokens": 8, "slots": 1}
    load = parse_request(
        protocol.encode({"op": "load", "deadline_s": 5, "key": "k", "engine": engine})
    )
    assert isinstance(load, Load)
    assert load.engine.slots == 1
    measure = parse_request(
        protocol.encode({"op": "measure", "deadline_s": 5, "workload": workload()})
    )
    assert isinstance(measure, Measure)
    assert measure.workload.prompts[1] == (5, 6, 7)


def test_a_request_of_millions_of_token_ids_is_read() -> None:
    prompts = [list(range(100_000))] * 10
    line = protocol.encode(
        {"op": "measure", "deadline_s": 5, "workload": workload(prompts=prompts)}
    )
    request = parse_request(line)
    assert isinstance(request, Measure)
    assert request.workload.longest_sequence() == 100_005
