"""The real Transformers on PyTorch, with the default campaign's model converted to its format."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.worker.backend import Peer, ask_oneshot
from tests.worker.engines.reference import (
    ANSWER_IDS,
    GRAVITY_IDS,
    QUESTION,
    QUESTION_IDS,
    measure,
    outputs,
)

pytestmark = pytest.mark.engine


def load(peer: Peer, folder: Path, **changes: Any) -> dict[str, Any]:
    fields = {"backend": "pytorch", "model_path": str(folder), "dtype": "auto"}
    fields |= {"context_tokens": 256, "slots": 4} | changes
    loaded: dict[str, Any] = peer.load(key=repr(changes), **fields)
    return loaded


def test_the_converted_folder_is_readable_by_older_transformers(hf_folder: Path) -> None:
    config = json.loads((hf_folder / "config.json").read_text())
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 100000.0
    assert config["torch_dtype"] == config["dtype"] == "bfloat16"
    tokenizer = json.loads((hf_folder / "tokenizer_config.json").read_text())
    assert tokenizer["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert "assistant" in tokenizer["chat_template"]
    assert not {"backend", "is_local", "local_files_only"} & set(tokenizer)


def test_tokenizes_with_the_models_chat_template(pytorch_python: str, hf_folder: Path) -> None:
    question = {"op": "tokenize", "backend": "pytorch", "model_path": str(hf_folder)}
    chat = {**question, "texts": [QUESTION], "chat_template": True}
    assert ask_oneshot(chat, python=pytorch_python)[0] == {"token_ids": [QUESTION_IDS]}
    plain = {**question, "texts": ["Gravity is"], "chat_template": False}
    assert ask_oneshot(plain, python=pytorch_python)[0] == {"token_ids": [GRAVITY_IDS]}


def test_observes_the_live_engine(pytorch: Peer, hf_folder: Path) -> None:
    loaded = load(pytorch, hf_folder)
    assert loaded["engine_version"].startswith("transformers 5.")
    assert loaded["observed"]["dtype"] == "bfloat16"
    assert loaded["observed"]["parameters"] == 134515008
    assert loaded["observed"]["attn_implementation"] == "sdpa"
    assert loaded["observed"]["threads"] == 1


def test_says_what_the_model_says(pytorch: Peer, hf_folder: Path) -> None:
    load(pytorch, hf_folder)
    measured = measure(pytorch, [QUESTION_IDS])
    assert outputs(measured) == [ANSWER_IDS]
    for request in measured["requests"]:
        times = [request["submitted"], *request["token_times"]]
        assert times == sorted(times)


def test_padding_changes_nothing(pytorch: Peer, hf_folder: Path) -> None:
    # In float32: in bfloat16 rounding differs with the shape of a batch.
    load(pytorch, hf_folder, dtype="float32")
    prompts = [QUESTION_IDS, GRAVITY_IDS, QUESTION_IDS, GRAVITY_IDS]
    together = outputs(measure(pytorch, prompts))
    assert together[0] == ANSWER_IDS
    assert together[1] == outputs(measure(pytorch, [GRAVITY_IDS]))[0]


def test_ends_with_the_asked_number_of_tokens(pytorch: Peer, hf_folder: Path) -> None:
    load(pytorch, hf_folder)
    measured = measure(pytorch, [QUESTION_IDS], output_tokens=20)
    assert [request["counted"] for request in measured["requests"]] == [20]


def test_sampling_is_repeatable_by_its_seed(pytorch: Peer, hf_folder: Path) -> None:
    load(pytorch, hf_folder)
    warm = {"temperature": 1.5, "top_p": 0.95, "top_k": 50}
    draws = [
        outputs(measure(pytorch, [GRAVITY_IDS], sampling={**warm, "seed": seed}))
        for seed in (1, 1, 2)
    ]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize(
    "options",
    [{"cache_implementation": "static"}, {"use_cache": False}, {"attn_implementation": "eager"}],
)
def test_options_change_how_and_not_what(
    pytorch: Peer, hf_folder: Path, options: dict[str, Any]
) -> None:
    load(pytorch, hf_folder, options=options)
    assert outputs(measure(pytorch, [QUESTION_IDS])) == [ANSWER_IDS]


def test_a_stream_of_requests_is_not_its_way(pytorch: Peer, hf_folder: Path) -> None:
    load(pytorch, hf_folder)
    error = measure(pytorch, [QUESTION_IDS], mode="closed")
    assert error["reason"] == "bad_request"
    assert error["message"] == "backend pytorch has no load mode closed"


def test_a_context_beyond_the_models_is_an_error(pytorch: Peer, hf_folder: Path) -> None:
    error = load(pytorch, hf_folder, context_tokens=16384)
    assert error["reason"] == "engine_error"
    assert "a context of 8192 tokens" in error["message"]


def test_a_batch_that_does_not_fit_is_out_of_memory(pytorch: Peer, hf_folder: Path) -> None:
    # Eager attention makes one product of 8 × 9 heads × 8000 × 8000 in float32: 18 GB, more than
    # this process is allowed to have.
    options = {"attn_implementation": "eager"}
    load(pytorch, hf_folder, context_tokens=8192, slots=8, dtype="float32", options=options)
    prompt = [GRAVITY_IDS[0]] * 8000
    error = measure(pytorch, [prompt] * 8, output_tokens=1)
    assert error["reason"] == "out_of_memory", error
