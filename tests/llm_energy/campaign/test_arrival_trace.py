"""Traces of arrivals: the formats that are published, and what is no trace."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from tests.llm_energy.make_campaigns import steady_trace

from llm_energy.campaign.arrival_trace import ArrivalTrace, read_trace
from llm_energy.system.errors import PromptError

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,374,44
2023-11-16 18:17:04.0319600,396,109
2023-11-16 18:17:04.0319600,879,55
2023-11-16 18:17:09.9799600,91,16
"""
AZURE_ZONES = AZURE.replace("18:17:04.0319600,3", "20:17:04.031960+02:00,3").replace(
    "600,9", "6Z,9"
)
AZURE_2024 = AZURE.replace("2023-11-16", "2024-05-10").replace("600,", "6+00:00,")
BURSTGPT = """Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,ChatGPT,1087,230,1317,Conversation log
46,ChatGPT,10,0,10,Conversation log
118,GPT-4,417,276,693,Conversation log
130,ChatGPT,7,9,16,API log
"""
MOONCAKE = "".join(
    json.dumps({"timestamp": ms, "input_length": 6758, "output_length": out, "hash_ids": [0, 1]})
    + "\n"
    for ms, out in ((0, 500), (0, 490), (3000, 794), (12000, 316))
)


def trace_of(tmp_path: Path, content: str, **known: Any) -> ArrivalTrace:
    (tmp_path / "trace").write_text(content)
    return read_trace(tmp_path / "trace", **known)


@pytest.mark.parametrize("content", [AZURE, AZURE_2024, AZURE_ZONES])
def test_all_formats_of_azure_are_read_to_all_their_decimals(tmp_path: Path, content: str) -> None:
    rows = trace_of(tmp_path, content).rows
    assert [row.time_s for row in rows] == pytest.approx([0.0, 0.052, 0.052, 6.0], abs=1e-6)
    assert (rows[0].input_tokens, rows[0].output_tokens) == (374, 44)


def test_failed_requests_of_burstgpt_and_other_models_do_not_count(tmp_path: Path) -> None:
    rows = trace_of(tmp_path, BURSTGPT, model="ChatGPT").rows
    assert [row.time_s for row in rows] == [0.0, 40.0, 125.0]
    assert [row.output_tokens for row in rows] == [18, 230, 9]
    with pytest.raises(PromptError, match="has requests of ChatGPT, GPT-4; name one with `model`"):
        trace_of(tmp_path, BURSTGPT)
    with pytest.raises(PromptError, match="has no model GPT-5"):
        trace_of(tmp_path, BURSTGPT, model="GPT-5")


def test_of_a_failed_request_no_length_counts(tmp_path: Path) -> None:
    failed = BURSTGPT.replace("46,ChatGPT,10,0", "46,ChatGPT,0,0")
    assert len(trace_of(tmp_path, failed, model="ChatGPT").rows) == 3
    whole = BURSTGPT.replace("472,18,490", "472.0,18.0,490.0")
    assert trace_of(tmp_path, whole, model="ChatGPT").rows[0].input_tokens == 472


def test_windows_line_ends_blank_lines_and_a_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    for content, model in ((AZURE, None), (BURSTGPT, "ChatGPT"), (MOONCAKE, None)):
        expected = trace_of(tmp_path, content, model=model).rows
        (tmp_path / "trace").write_bytes(
            b"\xef\xbb\xbf" + content.replace("\n", "\r\n\r\n").encode()
        )
        assert read_trace(tmp_path / "trace", model=model).rows == expected


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (gzip.compress(AZURE.encode()), "trace: compressed; unpack it"),
        (AZURE.encode("utf-16"), "trace: not UTF-8; correct `file`"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, content: bytes, fault: str) -> None:
    (tmp_path / "trace").write_bytes(content)
    with pytest.raises(PromptError, match=fault):
        read_trace(tmp_path / "trace")


def test_mooncake_counts_milliseconds(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, MOONCAKE)
    assert [row.time_s for row in trace.rows] == [0.0, 0.0, 3.0, 12.0]
    assert trace.longest == 6758 + 794
    assert trace.rate == pytest.approx(4 / 16)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("a,b\n1,2\n", 'has the columns "a, b"; a trace is a CSV file with the columns TIMESTAMP'),
        (AZURE.replace("04.0319600,879", "01.0319600,879"), ":4: is earlier than the request"),
        (AZURE.replace("18:17:04.0319600,396", "noon,396"), ":3: is no request with TIMESTAMP"),
        (AZURE.replace(",374,", ",0,"), ":2: has a length below 1"),
        ("\n".join(AZURE.splitlines()[:2]), "has too few requests"),
        (MOONCAKE.replace("3000", '"x"'), ":3: is no request with timestamp"),
        (MOONCAKE.replace("3000", "NaN"), ":3: is no request with timestamp"),
        (MOONCAKE.replace("3000", "1e999"), ":3: is no request with timestamp"),
        (MOONCAKE.replace(" 794", " 79.5"), ":3: is no request with timestamp"),
        (MOONCAKE.replace(" 3000", "[]"), ":3: is no request with timestamp"),
        (
            MOONCAKE.replace('{"timestamp": 3000', '\n{"timestamp": true, "t": 1'),
            ":4: is no request",
        ),
        ("[]\n" + MOONCAKE, 'has the columns "[]"; a trace is'),
        (MOONCAKE + "[1]\n", ":5: is no request with timestamp"),
        (BURSTGPT.replace("45,", "inf,"), ":3: is no request with Timestamp"),
        (BURSTGPT.replace("45,ChatGPT,1087,", "45,ChatGPT,0,"), ":3: has a length below 1"),
        (BURSTGPT.replace("45,ChatGPT,1087,230,1317,Conversation log", "45"), ":3: is no request"),
        (
            BURSTGPT.replace("45,ChatGPT", '45,"Chat' + "G" * 140_000),
            "field larger than field limit",
        ),
        ("", "has no columns; a trace is"),
        ("[" + "1," * 5000, "…; a trace is a CSV file"),
        (AZURE.replace(".9799600", ".nan"), ":2: is no request with TIMESTAMP"),
    ],
)
def test_what_is_no_trace_is_named_with_its_line(tmp_path: Path, content: str, fault: str) -> None:
    with pytest.raises(PromptError) as error:
        trace_of(tmp_path, content)
    assert fault in str(error.value)
    assert "\n" not in str(error.value)


def test_a_stretch_keeps_its_times_and_leaves_out_by_chance(tmp_path: Path) -> None:
    lines = steady_trace(4000)
    trace = trace_of(tmp_path, "\n".join(lines))
    whole = trace.stretch(seed=0, cycle=1, rate=trace.rate, length_s=60.0)
    half = trace.stretch(seed=0, cycle=1, rate=trace.rate / 2, length_s=60.0)
    other = trace.stretch(seed=0, cycle=2, rate=trace.rate, length_s=60.0)
    assert len(whole) == 600
    assert {row.time_s for row in half} < {row.time_s for row in whole}
    assert len(half) == pytest.approx(300, abs=60)
    assert whole[0].time_s != other[0].time_s
    assert all(0.0 <= row.time_s < 60.0 for row in whole)
