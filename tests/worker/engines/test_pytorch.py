"""The real Transformers on PyTorch, with the default campaign's model converted to its format."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.worker.backend import ROOT
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


def load(peer: Engines, folder: Path, **changes: Any) -> dict[str, Any]:
    return reference.load(peer, "pytorch", folder, **changes)


def test_the_converted_folder_is_readable_by_older_transformers(hf_folder: Path) -> None:
    config = json.loads((hf_folder / "config.json").read_text())
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 100000.0
    assert config["torch_dtype"] == config["dtype"] == "bfloat16"
    tokenizer = json.loads((hf_folder / "tokenizer_config.json").read_text())
    assert tokenizer["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert "assistant" in tokenizer["chat_template"]
    assert not {"backend", "is_local", "local_files_only"} & set(tokenizer)


def test_tokenizes_with_the_models_chat_template(pytorch_python: str, hf_folder: Path) -> None:
    model = (pytorch_python, "pytorch", hf_folder)
    assert reference.tokenize(*model, QUESTION, chat_template=True) == [QUESTION_IDS]
    assert reference.tokenize(*model, "Gravity is", chat_template=False) == [GRAVITY_IDS]


def test_observes_the_live_engine(pytorch: Engines, hf_folder: Path) -> None:
    loaded = load(pytorch, hf_folder)
    assert loaded["engine_version"].startswith("transformers 5.")
    assert loaded["observed"]["dtype"] == "bfloat16"
    assert loaded["observed"]["parameters"] == 134515008
    assert loaded["observed"]["attn_implementation"] == "sdpa"
    assert loaded["observed"]["threads"] == 1
    assert loaded["observed"]["cache_implementation"] == "dynamic"
    assert loaded["observed"]["quantization"] is None
    assert loaded["observed"]["compiled"] is False
    assert loaded["observed"]["weight_bytes"] == 2 * 134515008


def test_says_what_the_model_says(pytorch: Engines, hf_folder: Path) -> None:
    load(pytorch, hf_folder)
    assert outputs(measure(pytorch, [QUESTION_IDS])) == [ANSWER_IDS]


def test_padding_changes_nothing(pytorch: Engines, hf_folder: Path) -> None:
    # In float32: in bfloat16 rounding differs with the shape of a batch.
    load(pytorch, hf_folder, dtype="float32")
    prompts = [QUESTION_IDS, GRAVITY_IDS, QUESTION_IDS, GRAVITY_IDS]
    together = outputs(measure(pytorch, prompts))
    assert together[0] == ANSWER_IDS
    assert together[1] == outputs(measure(pytorch, [GRAVITY_IDS]))[0]


def test_ends_with_the_requested_number_of_tokens_and_not_at_the_end_of_text(
    pytorch: Engines, hf_folder: Path
) -> None:
    load(pytorch, hf_folder)
    measured = measure(pytorch, [QUESTION_IDS, GRAVITY_IDS], output_tokens=32)
    reference.check_every_token_is_counted(measured, 32)
    assert outputs(measured)[0][:7] == ANSWER_IDS


def test_sampling_is_repeatable_by_its_seed(pytorch: Engines, hf_folder: Path) -> None:
    load(pytorch, hf_folder)
    reference.check_sampling_repeats(pytorch)


@pytest.mark.parametrize(
    "options",
    [{"cache_implementation": "static"}, {"use_cache": False}, {"attn_implementation": "eager"}],
)
def test_options_change_how_and_not_what(
    pytorch: Engines, hf_folder: Path, options: dict[str, Any]
) -> None:
    load(pytorch, hf_folder, options=options)
    assert outputs(measure(pytorch, [QUESTION_IDS])) == [ANSWER_IDS]


COMPILING = """
import json, sys, torch
from worker.engines.base import find_engine, resolve_options
from worker.workload import EngineConfig

seen = []
torch.compile = lambda forward, **how: seen.append([forward.__name__, how]) or forward
for cache in ("dynamic", "static"):
    engine = find_engine("pytorch")()
    options = {"compile": "reduce-overhead", "cache_implementation": cache}
    resolved = resolve_options(engine.OPTIONS, options)
    engine.load(EngineConfig("pytorch", sys.argv[1], "auto", 64, 1, options=resolved))
json.dump(seen, sys.stdout)
"""


def test_compiling_covers_the_forward_pass(pytorch_python: str, hf_folder: Path) -> None:
    # Only what is asked for: compiling itself takes minutes on a CPU.
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    command = [pytorch_python, "-c", COMPILING, str(hf_folder)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    assert json.loads(done.stdout) == [
        ["forward", {"mode": "reduce-overhead", "dynamic": True}],
        ["forward", {"mode": "reduce-overhead", "dynamic": None}],
    ]


SMALL = """
import json, sys
from transformers import AutoModelForCausalLM, Gemma3Config, MambaConfig
from worker.engines.base import Request, find_engine, resolve_options
from worker.workload import EngineConfig, Sampling

sizes = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 1}
heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16}
text = {**sizes, **heads, "intermediate_size": 32, "max_position_embeddings": 128}
vision = {"hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2}
made = {
    "multimodal": Gemma3Config(text_config=text, vision_config={**vision, "num_hidden_layers": 1}),
    "recurrent": MambaConfig(**sizes, state_size=4),
}
seen = {}
for name, config in made.items():
    folder = f"{sys.argv[1]}/{name}"
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    engine = find_engine("pytorch")()
    options = resolve_options(engine.OPTIONS, {"attn_implementation": "eager"})
    observed = engine.load(EngineConfig("pytorch", folder, "auto", 64, 1, options=options))
    tokens = []
    engine.wave([Request(0, (1, 2), 3, Sampling())], lambda _, ids: tokens.extend(ids))
    seen[name] = [observed["context_tokens"], len(tokens)]
json.dump(seen, sys.stdout)
"""


def test_a_model_without_a_longest_context_of_its_own_is_measured(
    pytorch_python: str, tmp_path: Path
) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    command = [pytorch_python, "-c", SMALL, str(tmp_path)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    assert json.loads(done.stdout) == {"multimodal": [128, 3], "recurrent": [None, 3]}


def test_what_cannot_be_quantized_here_names_what_is_missing(
    pytorch: Engines, hf_folder: Path
) -> None:
    error = load(pytorch, hf_folder, options={"quantization": "quanto_int8"})
    assert error["reason"] == "engine_error"
    assert error["message"] == (
        "quantization quanto_int8 needs the package optimum-quanto, "
        "which this environment does not have"
    )


def test_a_stream_of_requests_is_not_its_way(pytorch: Engines, hf_folder: Path) -> None:
    load(pytorch, hf_folder)
    error = measure(pytorch, [QUESTION_IDS], mode="closed")
    assert error["reason"] == "bad_request"
    assert error["message"] == "backend pytorch has no load mode closed"


def test_a_context_beyond_the_models_is_an_error(pytorch: Engines, hf_folder: Path) -> None:
    error = load(pytorch, hf_folder, context_tokens=16384)
    assert error["reason"] == "engine_error"
    assert "a context of 8192 tokens" in error["message"]


def test_a_batch_that_does_not_fit_is_out_of_memory(pytorch: Engines, hf_folder: Path) -> None:
    # Eager attention makes one product of 8 × 9 heads × 8000 × 8000 in float32: 18 GB, more than
    # this process is allowed to have.
    options = {"attn_implementation": "eager"}
    load(pytorch, hf_folder, context_tokens=8192, slots=8, dtype="float32", options=options)
    prompt = [GRAVITY_IDS[0]] * 8000
    error = measure(pytorch, [prompt] * 8, output_tokens=1)
    assert error["reason"] == "out_of_memory", error
