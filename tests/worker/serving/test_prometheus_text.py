"""The configuration of a server, read from its metrics in Prometheus' text format."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.serving.prometheus_text import metric_at, samples, value_of

NAMES = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,8}", fullmatch=True)
LABELS = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True)
SIGNS = st.sampled_from(list('\\"\n{},= #n'))
TEXTS = st.lists(SIGNS | st.characters(exclude_categories=("Cs",)), max_size=8).map("".join)
VALUES = st.sampled_from(["1.0", "0", "-2.5e-07", "NaN", "+Inf"])
SAMPLES = st.tuples(NAMES, st.dictionaries(LABELS, TEXTS, max_size=3), VALUES)
NOISE = st.sampled_from(
    ["", "# HELP a b {c} 1", "# TYPE a gauge", "#", "a", '{"quoted.name"} 1', 'a{b="c} 1', 'a{b="']
)

VLLM = (
    "# TYPE vllm:cache_config_info gauge\n"
    'vllm:cache_config_info{block_size="16",cache_dtype="auto",enable_prefix_caching="False",'
    'engine="0",gpu_memory_utilization="0.92",kv_sizes="{\'a\': [1, 2]}",'
    'num_gpu_blocks="None"} 1.0\n'
    'vllm:num_requests_running{engine="0"} 3.0\n'
)


def escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


@given(st.lists(st.tuples(SAMPLES, NOISE, st.sampled_from(["", " 1395066363000"]))))
def test_what_is_written_is_read(written: list[Any]) -> None:
    lines = []
    for (name, labels, value), noise, stamp in written:
        pairs = ",".join(f'{key}="{escaped(text)}"' for key, text in labels.items())
        lines += [
            noise,
            f"{name}{{{pairs}}} {value}{stamp}" if labels else f"{name} {value}{stamp}",
        ]
    assert list(samples("\n".join(lines))) == [sample for sample, _, _ in written]


@given(st.text(), NAMES, LABELS | st.just(""))
def test_no_text_is_an_error(text: str, name: str, label: str) -> None:
    metric_at(text, name, label)


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("block_size", 16),
        ("cache_dtype", "auto"),
        ("enable_prefix_caching", False),
        ("gpu_memory_utilization", 0.92),
        ("num_gpu_blocks", None),
        ("kv_sizes", "{'a': [1, 2]}"),
        ("no_such_label", None),
        ("", 1.0),
    ],
)
def test_labels_of_vllm(label: str, value: Any) -> None:
    found = metric_at(VLLM, "vllm:cache_config_info", label)
    assert found == value
    assert type(found) is type(value)


def test_a_metric_that_is_not_there_has_no_value() -> None:
    assert metric_at(VLLM, "vllm:cache_config", "block_size") is None


def test_samples_that_differ_are_all_given() -> None:
    engines = VLLM + re.sub('"16"', '"32"', VLLM)
    assert metric_at(engines, "vllm:cache_config_info", "block_size") == [16, 32]
    assert metric_at(engines, "vllm:cache_config_info", "cache_dtype") == "auto"


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("12345678901234567890", 12345678901234567890),
        ("1e3", 1000.0),
        ("1" * 5000, None),
        ("NaN", None),
        ("-Inf", None),
        ("1_0", "1_0"),
        ("", ""),
    ],
)
def test_values_are_those_that_json_can_hold(word: str, value: Any) -> None:
    assert value_of(word) == value
