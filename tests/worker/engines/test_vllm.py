"""The real vLLM on a CPU, with the default campaign's model converted to its format.

On a GPU the same adapter drives the same classes; what a GPU adds cannot be tried here.
"""

from pathlib import Path
from typing import Any

import pytest
from tests.worker.backend import ask_oneshot, group_members
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

pytestmark = pytest.mark.engine

SHARED_MEMORY = Path("/dev/shm")


def load(peer: Engines, folder: Path, **changes: Any) -> dict[str, Any]:
    return reference.load(peer, "vllm", folder, **changes)


def test_describes_itself(vllm_python: str) -> None:
    answer, _ = ask_oneshot({"op": "describe", "backend": "vllm"}, python=vllm_python)
    assert answer["engine_version"].startswith("vllm 0.")


def test_tokenizes_as_transformers_does(vllm_python: str, hf_folder: Path) -> None:
    model = (vllm_python, "vllm", hf_folder)
    assert reference.tokenize(*model, QUESTION, chat_template=True) == [QUESTION_IDS]
    assert reference.tokenize(*model, "Gravity is", chat_template=False) == [GRAVITY_IDS]


def test_observes_the_live_engine(vllm: Engines, hf_folder: Path) -> None:
    observed = load(vllm, hf_folder)["observed"]
    # Room for each slot's 256 tokens in blocks of 128, and the block that vLLM keeps empty.
    cache = {"kv_cache_blocks": 4 * 2 + 1, "block_size": 128, "kv_cache_tensors": "bfloat16"}
    settings = {"mode": "in_process", "device": "cpu", "threads": 1, "tensor_parallel": 1}
    settings |= {"slots": 4, "context_tokens": 256, "dtype": "bfloat16", "quantization": None}
    settings |= {"prefix_caching": False, "enforce_eager": True, "attention_backend": "CPU_ATTN"}
    expected = cache | settings
    assert {name: observed[name] for name in expected} == expected


def test_says_what_the_model_says(vllm: Engines, hf_folder: Path) -> None:
    load(vllm, hf_folder)
    assert outputs(measure(vllm, [QUESTION_IDS])) == [ANSWER_IDS]


def test_ends_with_the_requested_number_of_tokens_and_not_at_the_end_of_text(
    vllm: Engines, hf_folder: Path
) -> None:
    load(vllm, hf_folder)
    measured = measure(vllm, [QUESTION_IDS], output_tokens=32)
    reference.check_every_token_is_counted(measured, 32)
    assert outputs(measured)[0][:7] == ANSWER_IDS


def test_each_token_of_each_request_of_a_batch_has_its_own_time(
    vllm: Engines, hf_folder: Path
) -> None:
    load(vllm, hf_folder)
    prompts = [QUESTION_IDS, GRAVITY_IDS, QUESTION_IDS, GRAVITY_IDS]
    measured = measure(vllm, prompts, output_tokens=16)
    reference.check_every_token_is_counted(measured, 16)
    for request in measured["requests"]:
        assert len(set(request["token_times"])) == 16


def test_a_constant_stream_of_requests_keeps_its_slots_busy(vllm: Engines, hf_folder: Path) -> None:
    load(vllm, hf_folder)
    prompts = [QUESTION_IDS, GRAVITY_IDS] * 2
    measured = measure(vllm, prompts, mode="closed", batch_size=3, minimum_waves=3)
    reference.check_slots_are_busy(measured, 3)
    assert sum(r["counted"] for r in measured["requests"]) >= 3 * 3 * 7
    assert outputs(measured)[0] == ANSWER_IDS


def test_requests_that_arrive_at_a_rate(vllm: Engines, hf_folder: Path) -> None:
    load(vllm, hf_folder)
    reference.check_open_load(vllm)


def test_every_pass_computes_its_prompts_anew(vllm: Engines, hf_folder: Path) -> None:
    # The adapter refuses outputs whose num_cached_tokens is not 0, and this prompt fills a block.
    load(vllm, hf_folder)
    measured = measure(vllm, [QUESTION_IDS * 5], minimum_waves=2)
    assert measured["window"]["waves"] == 2


def test_sampling_is_repeatable_by_its_seed(vllm: Engines, hf_folder: Path) -> None:
    load(vllm, hf_folder)
    reference.check_sampling_repeats(vllm)


def test_a_sequence_says_the_same_in_transformers(
    vllm: Engines, pytorch: Engines, hf_folder: Path
) -> None:
    # Neither library promises equal tokens: their kernels round differently, and greedy decoding
    # turns where two logits are nearly equal. Seen to be equal, past the end of text too: both
    # suppress it in the same way.
    load(vllm, hf_folder)
    reference.load(pytorch, "pytorch", hf_folder)
    for prompt in (QUESTION_IDS, GRAVITY_IDS):
        said = [outputs(measure(peer, [prompt], output_tokens=24)) for peer in (vllm, pytorch)]
        assert said[0] == said[1]


def test_a_batch_in_float32_says_the_same_in_transformers_with_other_settings(
    vllm: Engines, pytorch: Engines, hf_folder: Path
) -> None:
    options = {"block_size": 32, "batch_tokens": 512, "kv_cache_gib": 0.25}
    options |= {"attention_backend": "CPU_ATTN"}
    observed = load(vllm, hf_folder, dtype="float32", options=options)["observed"]
    assert (observed["dtype"], observed["kv_cache_tensors"]) == ("float32", "float32")
    assert (observed["block_size"], observed["batch_tokens"]) == (32, 512)
    # 30 layers of keys and values of 3 heads of 64 numbers in 4 bytes.
    assert observed["kv_cache_blocks"] == 2**28 // (32 * 30 * 2 * 3 * 64 * 4)
    reference.load(pytorch, "pytorch", hf_folder, dtype="float32")
    prompts = [QUESTION_IDS, GRAVITY_IDS]
    said = [outputs(measure(peer, prompts, output_tokens=24)) for peer in (vllm, pytorch)]
    assert said[0] == said[1]


@pytest.fixture
def deployed(vllm: Engines, hf_folder: Path) -> dict[str, Any]:
    """vLLM as it is deployed, with its engine in a process of its own; the answer to its load."""
    loaded = load(vllm, hf_folder, options={"mode": "async"})
    assert loaded["event"] == "loaded", loaded
    return loaded


@pytest.mark.long
class TestAsDeployed:
    def test_is_the_same_engine_in_other_processes(
        self, vllm: Engines, deployed: dict[str, Any]
    ) -> None:
        assert deployed["observed"]["mode"] == "async"
        assert deployed["observed"]["kv_cache_blocks"] == 4 * 2 + 1
        assert deployed["observed"]["threads"] == 1
        assert len(group_members(deployed["engine_pid"])) > 3
        assert outputs(measure(vllm, [QUESTION_IDS])) == [ANSWER_IDS]

    @pytest.mark.usefixtures("deployed")
    def test_every_token_has_its_time(self, vllm: Engines) -> None:
        # Where this process is late, two tokens may come at once, and have one time.
        measured = measure(vllm, [QUESTION_IDS, GRAVITY_IDS], output_tokens=32)
        reference.check_every_token_is_counted(measured, 32)
        assert outputs(measured)[0][:7] == ANSWER_IDS

    @pytest.mark.usefixtures("deployed")
    def test_a_constant_stream_keeps_its_slots_busy(self, vllm: Engines) -> None:
        prompts = [QUESTION_IDS, GRAVITY_IDS]
        measured = measure(vllm, prompts, mode="closed", minimum_waves=3)
        reference.check_slots_are_busy(measured, 2)

    @pytest.mark.usefixtures("deployed")
    def test_requests_that_arrive_at_a_rate(self, vllm: Engines) -> None:
        reference.check_open_load(vllm)

    def test_leaves_nothing_behind(self, vllm: Engines, deployed: dict[str, Any]) -> None:
        shared = [path for path in SHARED_MEMORY.glob("psm_*") if is_mapped(path, deployed)]
        assert shared
        vllm.ask("unload")
        assert group_members(deployed["engine_pid"]) == []
        assert not any(path.exists() for path in shared)

    def test_out_of_memory_in_its_processes_is_reported(
        self, vllm: Engines, hf_folder: Path
    ) -> None:
        options = {"mode": "async", "kv_cache_gib": 0.05}
        error = load(vllm, hf_folder, context_tokens=8192, options=options)
        assert error["reason"] == "out_of_memory", error
        assert "larger than the available KV cache memory" in error["message"]
        assert "context_tokens 8192, slots 4" in error["message"]


def is_mapped(path: Path, loaded: dict[str, Any]) -> bool:
    """Return True if the engine's process group has it open."""
    return any(
        f"{path}\n" in Path(f"/proc/{pid}/maps").read_text()
        for pid in group_members(loaded["engine_pid"])
    )


@pytest.mark.parametrize("kv_cache_gib", [0.001, 0.05, 100000.0])
def test_a_cache_that_does_not_fit_is_out_of_memory(
    vllm: Engines, hf_folder: Path, kv_cache_gib: float
) -> None:
    # Too little for anything, too little for one sequence, and more than the machine has.
    options = {"kv_cache_gib": kv_cache_gib}
    error = load(vllm, hf_folder, context_tokens=8192, options=options)
    assert error["reason"] == "out_of_memory", error
    assert f"kv_cache_gib {kv_cache_gib}" in error["message"]


def test_a_context_beyond_the_models_is_an_error(vllm: Engines, hf_folder: Path) -> None:
    error = load(vllm, hf_folder, context_tokens=16384)
    assert error["reason"] == "engine_error"
    assert "(16384) is greater than the derived max_model_len" in error["message"]
