"""Memory that engines need: shapes of known models, and the formula with known answers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm_energy.preflight.made_machines import QUIET, gpu

from llm_energy.campaign.backend_settings import BackendConfig, Container
from llm_energy.preflight.memory_estimate import (
    UnknownFormatError,
    bytes_of,
    estimate,
    gpu_room,
    gpus_of,
    host_room,
)
from llm_energy.preflight.model_shape import Shape, ShapeError, of_config, of_gguf

# As on the hub: Qwen3-8B has a head_dim of its own, Llama 2 no key for KV heads.
QWEN3_8B = {
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "hidden_size": 4096,
    "max_position_embeddings": 40960,
    "torch_dtype": "bfloat16",
}
LLAMA_2_7B = {
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "hidden_size": 4096,
    "dtype": "float16",
}
WEIGHTS = 16_381_470_720

PLAIN = of_config(QWEN3_8B, WEIGHTS)


def need(shape=PLAIN, *, dtype="auto", context_tokens=1024, slots=1, **options):
    return estimate(shape, dtype=dtype, context_tokens=context_tokens, slots=slots, options=options)


class TestShape:
    def test_of_a_configuration(self):
        assert PLAIN.kv_heads == (8,) * 36
        assert (PLAIN.key_length, PLAIN.value_length) == (128, 128)
        assert (PLAIN.context_tokens, PLAIN.dtype, PLAIN.quantized) == (40960, "bfloat16", False)

    def test_without_keys_of_their_own_kv_heads_are_the_heads_and_share_the_hidden_size(self):
        shape = of_config(LLAMA_2_7B, 1)
        assert shape.kv_heads == (32,) * 32
        assert shape.key_length == 128

    def test_of_the_text_part_of_a_multimodal_model(self):
        assert of_config({"text_config": QWEN3_8B, "vision_config": {}}, WEIGHTS) == PLAIN

    def test_windows_are_noticed(self):
        layers = ["full_attention", "sliding_attention"]
        assert of_config({**QWEN3_8B, "layer_types": layers}, 1).windowed

    @pytest.mark.parametrize(
        "config",
        [{}, {"num_hidden_layers": 1}, {**QWEN3_8B, "kv_lora_rank": 512}],
        ids=["empty", "no heads", "latent attention"],
    )
    def test_what_cannot_be_known_is_not_guessed(self, config):
        with pytest.raises(ShapeError):
            of_config(config, 1)

    def test_of_gguf_metadata_with_heads_by_layer(self):
        metadata = {
            "general.architecture": "toy",
            "toy.block_count": 3,
            "toy.attention.head_count": 8,
            "toy.attention.head_count_kv": [4, 0, 2],
            "toy.embedding_length": 512,
        }
        shape = of_gguf(metadata, 10)
        assert shape.kv_numbers_per_token == 6 * (64 + 64)
        with pytest.raises(ShapeError):
            of_gguf({**metadata, "toy.ssm.state_size": 16}, 10)
        with pytest.raises(ShapeError):
            of_gguf({"general.architecture": "toy"}, 10)


class TestEstimate:
    def test_keys_and_values_of_one_sequence(self):
        """Qwen3-8B: 144 KiB a token (2 × 36 × 8 × 128 × 2 bytes)."""
        found = need()
        assert found.kv_bytes == 1024 * 147_456
        assert found.weights_bytes == WEIGHTS

    @pytest.mark.parametrize(
        ("options", "bytes_per_number"),
        [
            ({"kv_cache_dtype": "auto"}, 2),
            ({"kv_cache_dtype": "fp8"}, 1),
            ({"kv_cache_type": "f32"}, 4),
            ({"kv_cache_type": "q8_0"}, 1.0625),
            ({"kv_cache_type": "q4_0"}, 0.5625),
            ({"kv_cache_dtype": "u8"}, 1.1875),
        ],
    )
    def test_the_number_format_of_keys_and_values(self, options, bytes_per_number):
        assert need(**options).kv_bytes == 1024 * 73_728 * bytes_per_number

    def test_asking_for_another_dtype_changes_both(self):
        found = need(dtype="float32")
        assert found.weights_bytes == 2 * WEIGHTS
        assert found.kv_bytes == 2 * need().kv_bytes

    def test_packed_weights_stay_what_they_are(self):
        packed = replace(PLAIN, quantized=True)
        assert need(packed, dtype="float32").weights_bytes == WEIGHTS

    def test_weights_that_the_engine_packs_are_at_most_their_files(self):
        assert need(quantization="fp8").at_most
        assert not need(quantization="auto").at_most

    def test_no_cache_needs_none_and_a_fixed_one_its_size(self):
        assert need(use_cache=False).kv_bytes == 0
        assert need(kv_cache_gib=4.0).kv_bytes == 4 * 2**30
        assert need(kv_cache_gib=0.0) == need()

    def test_layers_shared_between_gpus(self):
        found = need(tensor_parallel=4)
        assert found.weights_bytes == WEIGHTS / 4
        assert found.kv_bytes == need().kv_bytes / 4

    def test_a_kv_head_is_not_divided(self):
        assert need(tensor_parallel=16).kv_bytes == need().kv_bytes / 8

    def test_a_format_that_nobody_names_is_unknown(self):
        with pytest.raises(UnknownFormatError):
            need(replace(PLAIN, dtype=None))
        with pytest.raises(UnknownFormatError):
            need(kv_cache_dtype="fp4")

    @given(context_tokens=st.integers(1, 10**6), slots=st.integers(1, 1000))
    def test_it_grows_with_each_token_of_each_slot(self, context_tokens, slots):
        found = need(context_tokens=context_tokens, slots=slots)
        assert found.kv_bytes == context_tokens * slots * 147_456
        assert found.total_bytes == found.kv_bytes + WEIGHTS


class TestRoom:
    GPUS = (gpu(1, 80 * 10**9), gpu(2, 40 * 10**9))

    def docker(self, **container):
        return BackendConfig(runtime="docker", container=Container(**container))

    @pytest.mark.parametrize(
        ("text", "size"), [("1b", 1), ("2k", 2048), ("3m", 3 * 2**20), ("8g", 8 * 2**30)]
    )
    def test_sizes_as_docker_reads_them(self, text, size):
        assert bytes_of(text) == size

    def test_a_container_has_its_limit_where_that_is_less_than_the_host_has(self):
        assert host_room(QUIET, self.docker(memory="8g")).limit_bytes == 8 * 2**30
        assert host_room(QUIET, self.docker(memory="900g")).limit_bytes == 200 * 10**9
        assert host_room(QUIET, BackendConfig()).limit_bytes == 200 * 10**9

    def test_the_smallest_gpu_counts_and_the_share_that_an_engine_takes(self):
        assert gpu_room(self.GPUS, {}, 0).limit_bytes == 40 * 10**9
        share = {"gpu_memory_utilization": 0.5}
        assert gpu_room(self.GPUS, share, 0).limit_bytes == 20 * 10**9
        left = {"kv_cache_fraction": 0.5}
        assert gpu_room(self.GPUS, left, 10 * 10**9).limit_bytes == 25 * 10**9
        assert gpu_room(self.GPUS, left, 90 * 10**9).limit_bytes == 40 * 10**9

    def test_a_gpu_that_does_not_tell_leaves_it_open(self):
        assert gpu_room([gpu(1, None)], {}, 0) is None
        assert gpu_room([], {}, 0) is None

    def test_the_gpus_that_a_backend_gets(self):
        assert gpus_of(BackendConfig(), self.GPUS) == list(self.GPUS)
        assert gpus_of(self.docker(gpus=1), self.GPUS) == [self.GPUS[0]]
        assert gpus_of(self.docker(gpus=["GPU-2"]), self.GPUS) == [self.GPUS[1]]
        assert gpus_of(self.docker(gpus="all"), self.GPUS) == list(self.GPUS)


def test_a_shape_without_layers_needs_its_weights_only():
    empty = Shape(5, (), 64, 64, None, "bfloat16", False)
    assert need(empty).total_bytes == 5
