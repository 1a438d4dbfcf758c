"""The real llama.cpp, with the real model of the default campaign."""

from pathlib import Path
from typing import Any

import pytest
from tests.worker.backend import ask_oneshot
from tests.worker.engines import reference
from tests.worker.engines.conftest import Engines
from tests.worker.engines.reference import (
    ANSWER_IDS,
    GRAVITY_IDS,
    QUESTION,
    QUESTION_IDS,
    measure,
    outputs,
)

from worker.engines.base import UNKNOWN_ID

pytestmark = pytest.mark.engine

EMOJI = "🎉🐉🦄 你好，世界。今天天气很好。 🎉🐉🦄 你好，世界。今天天气很好。 🎉🐉"


def load(peer: Engines, gguf: str, **changes: Any) -> dict[str, Any]:
    return reference.load(peer, "llamacpp", gguf, **changes)


def tokenize(python: str, gguf: str, *texts: str, chat_template: bool) -> list[list[int]]:
    return reference.tokenize(python, "llamacpp", gguf, *texts, chat_template=chat_template)


def test_describes_itself(llamacpp_python: str) -> None:
    answer, _ = ask_oneshot({"op": "describe", "backend": "llamacpp"}, python=llamacpp_python)
    assert answer["engine_version"].startswith("xllamacpp 20")


def test_tokenizes_with_the_models_chat_template(llamacpp_python: str, gguf: str) -> None:
    assert tokenize(llamacpp_python, gguf, QUESTION, chat_template=True) == [QUESTION_IDS]
    assert tokenize(llamacpp_python, gguf, "Gravity is", chat_template=False) == [GRAVITY_IDS]


def test_observes_the_live_engine(llamacpp: Engines, gguf: str) -> None:
    observed = load(llamacpp, gguf)["observed"]
    assert observed["slots"] == 4
    assert observed["context_tokens"] == 256
    assert observed["model_file_type"] == "Q4_1"


def test_says_what_the_model_says(llamacpp: Engines, gguf: str) -> None:
    load(llamacpp, gguf)
    assert outputs(measure(llamacpp, [QUESTION_IDS])) == [ANSWER_IDS]


def test_a_batch_says_what_each_prompt_says_alone(llamacpp: Engines, gguf: str) -> None:
    load(llamacpp, gguf)
    prompts = [QUESTION_IDS, GRAVITY_IDS, QUESTION_IDS, GRAVITY_IDS]
    together = outputs(measure(llamacpp, prompts))
    assert together[0] == ANSWER_IDS
    assert together[1] == outputs(measure(llamacpp, [GRAVITY_IDS]))[0]


def test_ends_with_the_requested_number_of_tokens_and_not_at_the_end_of_text(
    llamacpp: Engines, gguf: str
) -> None:
    load(llamacpp, gguf)
    measured = measure(llamacpp, [QUESTION_IDS], output_tokens=32)
    reference.check_every_token_is_counted(measured, 32)
    assert outputs(measured)[0][:7] == ANSWER_IDS


def test_tokens_that_are_part_of_a_character_are_counted(
    llamacpp: Engines, llamacpp_python: str, gguf: str
) -> None:
    load(llamacpp, gguf)
    prompt = tokenize(llamacpp_python, gguf, EMOJI, chat_template=False)[0]
    measured = measure(llamacpp, [prompt], output_tokens=24)
    assert measured["requests"][0]["counted"] == 24
    (ids,) = outputs(measured)
    assert len(ids) == 24
    assert UNKNOWN_ID in ids  # llama.cpp sends whole characters, with the id of the last token


def test_every_pass_computes_its_prompts_anew(llamacpp: Engines, gguf: str) -> None:
    # The adapter compares llama.cpp's count of computed prompt tokens with the prompt's length.
    load(llamacpp, gguf)
    measured = measure(llamacpp, [QUESTION_IDS], minimum_waves=4)
    assert measured["window"]["waves"] == 4


def test_sampling_is_repeatable_by_its_seed(llamacpp: Engines, gguf: str) -> None:
    load(llamacpp, gguf)
    reference.check_sampling_repeats(llamacpp)


def test_a_constant_stream_of_requests(llamacpp: Engines, gguf: str) -> None:
    load(llamacpp, gguf)
    measured = measure(llamacpp, [QUESTION_IDS, GRAVITY_IDS], mode="closed", minimum_waves=2)
    assert measured["window"]["passes"] is None
    assert sum(r["counted"] for r in measured["requests"]) >= 2 * 2 * 7
    reference.check_slots_are_busy(measured, 2)
    assert outputs(measured)[0] == ANSWER_IDS


def test_requests_that_arrive_at_a_rate(llamacpp: Engines, gguf: str) -> None:
    load(llamacpp, gguf)
    reference.check_open_load(llamacpp)


def test_settings_reach_the_engine(llamacpp: Engines, gguf: str) -> None:
    options = {"batch_tokens": 256, "kv_cache_type": "q8_0", "flash_attention": "on"}
    load(llamacpp, gguf, options=options)
    assert outputs(measure(llamacpp, [QUESTION_IDS]))[0][:6] == ANSWER_IDS[:6]


def test_a_context_beyond_the_models_is_an_error(llamacpp: Engines, gguf: str) -> None:
    error = load(llamacpp, gguf, context_tokens=16384, slots=1)
    assert error["reason"] == "engine_error"
    assert error["message"] == (
        "the model has a context of 8192 tokens, context_tokens asks for 16384"
    )


def test_what_is_no_model_is_an_error_in_llamacpps_words(llamacpp: Engines, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(100))
    error = load(llamacpp, str(broken))
    assert error["reason"] == "engine_error"
    assert error["message"].startswith(f"llama.cpp cannot load {broken}: gguf_init_from")


def test_buffers_that_do_not_fit_are_out_of_memory(llamacpp: Engines, gguf: str) -> None:
    # Keys and values take 46 kB a token in f32: 97 GB, more than this process is allowed to have.
    options = {"kv_cache_type": "f32"}
    error = load(llamacpp, gguf, context_tokens=8192, slots=256, options=options)
    assert error["reason"] == "out_of_memory", error
