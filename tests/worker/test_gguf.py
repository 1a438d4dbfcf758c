"""Metadata of GGUF files that were written by these tests, and of the real one where it is."""

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.preflight.model_shape import of_gguf
from worker.chat_template import template_of_gguf
from worker.engines.base import EngineError
from worker.gguf import GgufError, read_metadata

CODES = {"B": 0, "b": 1, "H": 2, "h": 3, "I": 4, "i": 5, "f": 6, "?": 7, "Q": 10, "q": 11, "d": 12}


def text(value):
    content = value.encode()
    return struct.pack("<Q", len(content)) + content


def typed(value):
    """(type, content) of a value: bool, int, float, str, or a list of one of them."""
    if isinstance(value, str):
        return 8, text(value)
    if isinstance(value, list):
        inner = typed(value[0])[0] if value else 4
        content = b"".join(typed(item)[1] for item in value)
        return 9, struct.pack("<IQ", inner, len(value)) + content
    code = "?" if isinstance(value, bool) else "q" if isinstance(value, int) else "d"
    return CODES[code], struct.pack(f"<{code}", value)


def gguf(pairs, *, version=3):
    content = b"GGUF" + struct.pack("<IQQ", version, 7, len(pairs))
    for key, value in pairs.items():
        kind, body = typed(value)
        content += text(key) + struct.pack("<I", kind) + body
    return content + b"tensors follow"


def read(folder, content, **options):
    path = Path(folder) / "m.gguf"
    path.write_bytes(content)
    return read_metadata(path, **options)


SCALARS = (
    st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
)
VALUES = SCALARS | st.lists(st.text(max_size=5), max_size=5) | st.lists(st.booleans(), max_size=5)


@given(pairs=st.dictionaries(st.text(max_size=20), VALUES, max_size=8))
def test_what_was_written_is_read(pairs, tmp_path_factory):
    assert read(tmp_path_factory.getbasetemp(), gguf(pairs)) == pairs


@pytest.mark.parametrize("code", CODES)
def test_every_type_of_number_is_read_and_skipped(tmp_path, code):
    number = struct.pack(f"<{code}", 1)
    head = b"GGUF" + struct.pack("<IQQ", 3, 0, 3)
    one = text("one") + struct.pack("<I", CODES[code]) + number
    many = text("many") + struct.pack("<IIQ", 9, CODES[code], 5) + 5 * number
    last = text("last") + struct.pack("<I", 8) + text("end")
    found = read(tmp_path, head + one + many + last, longest_array=4)
    assert found == {"one": 1, "many": None, "last": "end"}


def test_a_vocabulary_is_skipped(tmp_path):
    pairs = {"words": ["a", "bc"] * 100, "after": 1}
    assert read(tmp_path, gguf(pairs), longest_array=10) == {"words": None, "after": 1}


@given(length=st.integers(min_value=0, max_value=200))
def test_a_file_that_was_cut_short_is_reported_never_taken(length, tmp_path_factory):
    whole = gguf({"words": ["abc"] * 10, "n": 7, "x": "text" * 10}).removesuffix(b"tensors follow")
    with pytest.raises(GgufError):
        read(tmp_path_factory.getbasetemp(), whole[: min(length, len(whole) - 1)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PICTURE OF A CAT" * 4, "no GGUF file"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<I", 99), "type 99"),
        (
            b"GGUF"
            + struct.pack("<IQQ", 3, 0, 1)
            + text("k")
            + struct.pack("<I", 9)
            + struct.pack("<IQ", 9, 1) * 3000,
            "recursion",
        ),
    ],
)
def test_what_is_no_gguf_file_is_reported(tmp_path, content, message):
    with pytest.raises(GgufError, match=message):
        read(tmp_path, content)


@pytest.mark.parametrize("value", ["", " \n", 7, ["a", "b"]])
def test_a_template_that_is_no_text_is_none(tmp_path, value):
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf({"tokenizer.chat_template": value}))
    with pytest.raises(EngineError, match="the model has no chat template"):
        template_of_gguf(str(path))


def test_a_template_in_a_damaged_file_is_an_error_of_the_model(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(EngineError, match="damaged or cut short"):
        template_of_gguf(str(path))


def test_the_real_model():
    if "LLM_ENERGY_TEST_GGUF" not in os.environ:
        pytest.skip("the model is not here")
    path = Path(os.environ["LLM_ENERGY_TEST_GGUF"])
    shape = of_gguf(read_metadata(path), path.stat().st_size)
    assert shape.kv_heads == (3,) * 30
    assert (shape.key_length, shape.value_length) == (64, 64)
    assert shape.context_tokens == 8192
