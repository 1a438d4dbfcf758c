"""The shape of a model: the layers, heads, number formats and weights that decide its memory."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_energy.campaign.declared_inputs import PathSource
from llm_energy.campaign.identity import Declared
from llm_energy.inputs.models import local_files, local_path
from llm_energy.inputs.recipes import is_converted
from llm_energy.system.cache import model_marker, read_marker
from worker.gguf import GgufError, read_metadata

HYBRID_KEYS = ("kv_lora_rank", "ssm_cfg", "mamba_d_state", "linear_num_key_heads", "state_size")
"""Keys of models whose layers do not all keep plain keys and values; the formula fails there."""


class ShapeError(Exception):
    """A model whose memory cannot be worked out; the message says why."""


@dataclass(frozen=True)
class Shape:
    """One model that is on this machine."""

    weights_bytes: int
    """Size of the files."""
    kv_heads: tuple[int, ...]
    """Heads that keep keys and values, in each layer."""
    key_length: int
    value_length: int
    """Numbers that a head keeps for one token."""
    context_tokens: int | None
    """Longest sequence that the model is made for."""
    dtype: str | None
    """Number format of the weights; None where several are mixed or it is not stated."""
    quantized: bool
    """The weights are packed: their size does not depend on dtype."""
    windowed: bool = False
    """Some layers keep only the newest tokens: the estimate is an upper bound."""

    @property
    def kv_numbers_per_token(self) -> int:
        return sum(self.kv_heads) * (self.key_length + self.value_length)


def read_shape(model: Declared, cache: Path) -> Shape | None:
    """The shape of a model that is ready, or is a file or folder of the user's own; else None."""
    marker = model_marker(model.id, cache)
    try:
        if marker.exists():
            content = read_marker(marker)
            sizes = {name: int(facts["size"]) for name, facts in content["files"].items()}
            path = marker.parent.absolute() / content["path"]
        elif isinstance(model.config, PathSource) and not is_converted(model):
            path = local_path(model.config)
            sizes = {file.name: file.stat().st_size for file in local_files(model.config)}
        else:
            return None
        if model.identity["format"] == "gguf":
            return of_gguf(read_metadata(path), _sum(sizes, ".gguf"))
        config = json.loads((path / "config.json").read_bytes())
        return of_config(config, _sum(sizes, ".safetensors"))
    except (OSError, ValueError, GgufError) as error:
        raise ShapeError(str(error)) from error


def _sum(sizes: Mapping[str, int], ending: str) -> int:
    return sum(size for name, size in sizes.items() if name.endswith(ending))


def of_config(config: Mapping[str, Any], weights_bytes: int) -> Shape:
    """From config.json as Transformers writes it; of a multimodal model its text part counts.

    Raises:
        ShapeError: a key is missing, or the model keeps something else than keys and values.
    """
    text = {**config, **(config.get("text_config") or {})}
    if kept := [key for key in HYBRID_KEYS if text.get(key)]:
        raise ShapeError(f"its layers keep something else than keys and values ({kept[0]})")
    try:
        layers, heads = int(text["num_hidden_layers"]), int(text["num_attention_heads"])
        head_dim = int(text.get("head_dim") or text["hidden_size"] // heads)
    except (KeyError, TypeError) as error:
        raise ShapeError(f"config.json has no {error}") from error
    dtype = text.get("dtype") or text.get("torch_dtype")
    return Shape(
        weights_bytes=weights_bytes,
        kv_heads=(int(text.get("num_key_value_heads") or heads),) * layers,
        key_length=head_dim,
        value_length=head_dim,
        context_tokens=text.get("max_position_embeddings"),
        dtype=dtype if isinstance(dtype, str) else None,
        quantized=bool(text.get("quantization_config")),
        windowed="sliding_attention" in (text.get("layer_types") or []),
    )


def of_gguf(metadata: Mapping[str, Any], weights_bytes: int) -> Shape:
    """From a GGUF file's metadata."""
    name = metadata.get("general.architecture")

    def get(key: str) -> Any:
        return metadata.get(f"{name}.{key}")

    if any(get(key) for key in ("attention.kv_lora_rank", "ssm.state_size", "ssm.inner_size")):
        raise ShapeError("its layers keep something else than keys and values")
    layers, heads = get("block_count"), get("attention.head_count")
    if not layers or not heads:
        raise ShapeError("its metadata has no numbers of layers and heads")
    kv_heads = get("attention.head_count_kv") or heads
    per_layer = tuple(kv_heads) if isinstance(kv_heads, list) else (kv_heads,) * layers
    most = max(heads) if isinstance(heads, list) else heads
    default = (get("embedding_length") or 0) // most
    key, value = get("attention.key_length") or default, get("attention.value_length") or default
    if not key or not value:
        raise ShapeError("its metadata has no length of a head")
    return Shape(
        weights_bytes=weights_bytes,
        kv_heads=per_layer,
        key_length=key,
        value_length=value,
        context_tokens=get("context_length"),
        dtype=None,
        quantized=True,
        windowed=bool(get("attention.sliding_window")),
    )
