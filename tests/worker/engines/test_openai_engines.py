"""The adapter of servers on real ones, which it launches, and on real tokenizers."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import wait_until
from tests.worker.backend import group_members
from tests.worker.engines import reference
from tests.worker.engines.conftest import Engines, supervisor
from tests.worker.engines.reference import (
    ANSWER_IDS,
    GRAVITY_IDS,
    QUESTION_IDS,
    measure,
    outputs,
)
from tests.worker.engines.servers import attached, load, preset
from tests.worker.serving.frames import chunked, refusing
from tests.worker.serving.stand_in import BARE, serving


@pytest.mark.engine
def test_tokens_are_counted_in_the_text_of_a_server_that_tells_nothing(
    pytorch_python: str, hf_folder: Path
) -> None:
    """With the real tokenizer of a model: for the prompts, and for the answers."""
    answer, _ = BARE
    changes = {"tokenizer": "pytorch", "prompt": "text", "token_counts": "retokenised"}
    with supervisor(pytorch_python) as peer, serving(lambda b: chunked(answer(b))) as server:
        load(peer, attached(server, **changes, exact_length={}), model_path=str(hf_folder))
        measured = measure(peer, [QUESTION_IDS, GRAVITY_IDS], exact_length=False)
        sent = {body["prompt"] for body in server.requests[3:]}
    assert any(text.startswith("<|im_start|>") and "\n" in text for text in sent)
    assert len(sent) == 2
    # Three chunks with text: Paris, is é, 🎉 the.
    (count,) = {len(request["token_times"]) for request in measured["requests"]}
    assert count > 3
    moments = [len(set(request["token_times"])) for request in measured["requests"]]
    assert moments == [3, 3]


@pytest.mark.engine
def test_answers_that_come_whole_are_counted_in_their_text_from_the_first_wave_on(
    pytorch_python: str, hf_folder: Path
) -> None:
    """A warm-up that was counted in answers would be no course with a window in tokens."""

    def answer(_: dict[str, Any]) -> bytes:
        return refusing(200, {"choices": [{"text": "Paris is é", "finish_reason": "stop"}]})

    changes = {"tokenizer": "pytorch", "prompt": "text", "token_counts": "retokenised"}
    whole = {**changes, "streams": False, "exact_length": {}}
    with supervisor(pytorch_python) as peer, serving(answer) as server:
        load(peer, attached(server, **whole), model_path=str(hf_folder))
        measured = measure(peer, [QUESTION_IDS], exact_length=False)
    (count,) = {len(request["token_times"]) for request in measured["requests"]}
    assert count > 1
    assert {len(set(request["token_times"])) for request in measured["requests"]} == {1}
    warmup = measured["warmup"]
    first_wave_tokens = warmup["throughput"][0] * warmup["first_wave_s"]
    assert first_wave_tokens == pytest.approx(count)


@pytest.mark.engine
class TestLlamaCpp:
    """llama.cpp's own HTTP server, launched."""

    @pytest.fixture
    def loaded(self, llamacpp: Engines, gguf: str) -> dict[str, Any]:
        return load(llamacpp, preset("llamacpp-server"), model_path=gguf)

    def test_tells_of_itself(self, loaded: dict[str, Any]) -> None:
        observed = loaded["observed"]
        assert observed["server"] == "launched"
        assert observed["context_tokens"] == 256
        assert observed["slots"] == 4
        assert observed["tokens_counted_by"] == "llama_cpp"
        assert loaded["engine_version"] == observed["version"]

    @pytest.mark.usefixtures("loaded")
    def test_says_what_the_model_says_alone_and_in_a_batch(self, llamacpp: Engines) -> None:
        prompts = [QUESTION_IDS, GRAVITY_IDS, QUESTION_IDS, GRAVITY_IDS]
        assert outputs(measure(llamacpp, prompts))[0] == ANSWER_IDS
        measured = measure(llamacpp, [QUESTION_IDS], output_tokens=32)
        reference.check_every_token_is_counted(measured, 32)
        assert outputs(measured)[0][:7] == ANSWER_IDS

    @pytest.mark.usefixtures("loaded")
    def test_a_constant_stream(self, llamacpp: Engines) -> None:
        measured = measure(llamacpp, [QUESTION_IDS, GRAVITY_IDS], mode="closed", minimum_waves=2)
        reference.check_slots_are_busy(measured, 2)

    @pytest.mark.usefixtures("loaded")
    def test_requests_that_arrive_at_a_rate(self, llamacpp: Engines) -> None:
        reference.check_open_load(llamacpp)

    def test_texts_in_place_of_token_ids_give_the_same_answer(
        self, llamacpp: Engines, gguf: str
    ) -> None:
        server = preset("llamacpp-server") | {"prompt": "text"}
        observed = load(llamacpp, server, model_path=gguf, seed=1)["observed"]
        assert observed["prompts_sent_as"] == "text"
        measured = measure(llamacpp, [QUESTION_IDS, GRAVITY_IDS])
        assert outputs(measured)[0] == ANSWER_IDS

    def test_answers_as_a_whole_have_as_many_tokens(self, llamacpp: Engines, gguf: str) -> None:
        server = preset("llamacpp-server") | {"streams": False, "token_counts": "usage"}
        load(llamacpp, server, model_path=gguf, seed=3)
        requests = measure(llamacpp, [QUESTION_IDS, GRAVITY_IDS])["requests"]
        assert {len(request["token_times"]) for request in requests} == {7}
        assert {len(set(request["token_times"])) for request in requests} == {1}

    def test_a_chat_gets_the_template_of_its_server(self, llamacpp: Engines, gguf: str) -> None:
        server = preset("llamacpp-server") | {"prompt": "chat"}
        observed = load(llamacpp, server, model_path=gguf, seed=2)["observed"]
        assert observed["chat_template_tokens"] > 0
        reference.check_every_token_is_counted(measure(llamacpp, [GRAVITY_IDS]), 7)

    def test_arguments_reach_the_command(self, llamacpp: Engines, gguf: str) -> None:
        server = preset("llamacpp-server")
        error = load(llamacpp, server, model_path=gguf, options={"cache-type": "q5_9"})
        assert error["reason"] == "server_not_started"
        assert "invalid choice: 'q5_9'" in error["message"]

    def test_ends_with_its_engine_process(
        self, llamacpp: Engines, gguf: str, loaded: dict[str, Any]
    ) -> None:
        group = loaded["engine_pid"]
        children = [pid for pid in group_members(group) if pid != group]
        assert len(children) >= 2  # the guard, and the server
        os.kill(group, signal.SIGKILL)
        wait_until(lambda: not group_members(group), what="the server is gone")
        assert load(llamacpp, preset("llamacpp-server"), model_path=gguf)["reused"] is False


@pytest.mark.engine
@pytest.mark.long
class TestVllm:
    """vLLM's own server, launched; another test speaks its dialect on every commit."""

    @pytest.fixture
    def loaded(self, vllm_server: Engines, hf_folder: Path) -> dict[str, Any]:
        server = preset("vllm-server")
        return load(vllm_server, server, model_path=str(hf_folder), dtype="float32")

    def test_tells_of_itself(self, loaded: dict[str, Any]) -> None:
        assert loaded["observed"]["context_tokens"] == 256
        assert loaded["observed"]["version"].startswith("0.")
        assert loaded["observed"]["kv_block_tokens"] > 0
        assert loaded["observed"]["kv_blocks"] > 0
        assert loaded["observed"]["prefix_caching"] is False

    @pytest.mark.usefixtures("loaded")
    def test_says_what_the_model_says_alone_and_in_a_batch(self, vllm_server: Engines) -> None:
        prompts = [QUESTION_IDS, GRAVITY_IDS, QUESTION_IDS, GRAVITY_IDS]
        assert outputs(measure(vllm_server, prompts))[0] == ANSWER_IDS
        measured = measure(vllm_server, [QUESTION_IDS], output_tokens=32)
        reference.check_every_token_is_counted(measured, 32)

    @pytest.mark.usefixtures("loaded")
    def test_a_constant_stream(self, vllm_server: Engines) -> None:
        prompts = [QUESTION_IDS, GRAVITY_IDS]
        measured = measure(vllm_server, prompts, mode="closed", minimum_waves=2)
        reference.check_slots_are_busy(measured, 2)
