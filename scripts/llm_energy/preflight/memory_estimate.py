"""Estimate the memory that an experiment's engine needs, and the room that it may take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_energy.campaign.backend_settings import BackendConfig
from llm_energy.preflight.gpus import Gpu
from llm_energy.preflight.host_findings import Host
from llm_energy.preflight.model_shape import Shape
from llm_energy.system.numbers import gigabytes

FORMULA = (
    "weights + 2 × layers × KV heads × head dimension × bytes × context_tokens × slots; "
    "left out: activations, workspace, CUDA context, the engine itself"
)

BYTES: Mapping[str, float] = {
    "float32": 4,
    "f32": 4,
    "bfloat16": 2,
    "float16": 2,
    "f16": 2,
    "fp8": 1,
    "fp8_e4m3": 1,
    "fp8_e5m2": 1,
    "q8_0": 34 / 32,
    "q4_0": 18 / 32,
    "u8": 19 / 16,
}
"""Bytes of one number; llama.cpp packs 32 of them with a scale of 2 bytes. `u8` is that of OpenVINO
2026.4 on a CPU, scales and zero points included, as it was seen with 64 numbers a head."""

GIB = 2**30

UNITS = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30}
"""Suffixes of `container.memory`, as Docker reads them."""


@dataclass(frozen=True)
class Estimate:
    """Memory of one engine process on each of its devices, in bytes."""

    weights_bytes: float
    kv_bytes: float
    at_most: bool = False
    """An upper bound: the engine packs the weights while it loads them, or layers keep only the
    newest tokens."""

    @property
    def total_bytes(self) -> float:
        return self.weights_bytes + self.kv_bytes


class UnknownFormatError(Exception):
    """A number format whose size is not known."""


def estimate(
    shape: Shape, *, dtype: str, context_tokens: int, slots: int, options: Mapping[str, Any]
) -> Estimate:
    """Estimate what an engine needs for a model.

    Args:
        dtype: as the experiment has it, `auto` for the model's own.
        options: engine options; those that matter here have one name in all engines.

    Raises:
        UnknownFormatError: neither settings nor model name the format of keys and values.
    """
    devices = int(options.get("tensor_parallel", 1))
    weights = shape.weights_bytes * _conversion(shape, dtype)
    if not options.get("use_cache", True):
        kv = 0.0
    elif options.get("kv_cache_gib"):
        kv = float(options["kv_cache_gib"]) * GIB
    else:
        numbers = shape.kv_numbers_per_token * context_tokens * slots
        # A head is on one device, and on several where there are fewer heads than devices.
        shares = min(devices, max(shape.kv_heads, default=1))
        kv = numbers * _kv_bytes(shape, dtype, options) / shares
    packs = options.get("quantization", "auto") != "auto" and not shape.quantized
    return Estimate(weights / devices, kv, at_most=packs or shape.windowed)


@dataclass(frozen=True)
class Room:
    """Memory that an engine may take on each device."""

    limit_bytes: float
    words: str


def bytes_of(text: str) -> int:
    """Read a size as Docker does: `8g` is 8589934592."""
    return int(text[:-1]) * UNITS[text[-1]]


def host_room(host: Host, config: BackendConfig) -> Room:
    """Return the room of an engine on the CPU."""
    limit = config.container.memory
    if limit is not None and bytes_of(limit) < host.available_bytes:
        return Room(bytes_of(limit), f"the container's {gigabytes(bytes_of(limit))}")
    words = f"the {gigabytes(host.available_bytes)} available of {gigabytes(host.memory_bytes)}"
    return Room(host.available_bytes, words)


def gpu_room(gpus: Sequence[Gpu], options: Mapping[str, Any], weights_bytes: float) -> Room | None:
    """Return the room on the smallest of an engine's GPUs; None where one does not report it.

    vLLM and TensorRT-LLM take a share of a GPU's memory and no more, whatever they need.
    """
    sizes = [gpu.memory_bytes for gpu in gpus]
    if not sizes or None in sizes:
        return None
    smallest = min(size for size in sizes if size is not None)
    words = f"a GPU's {gigabytes(smallest)}"
    if "gpu_memory_utilization" in options:
        share = float(options["gpu_memory_utilization"])
        return Room(share * smallest, f"{share:.0%} of {words}")
    if "kv_cache_fraction" in options:
        share = float(options["kv_cache_fraction"])
        left = max(0.0, smallest - weights_bytes)
        return Room(min(weights_bytes, smallest) + share * left, f"what it may take of {words}")
    return Room(smallest, words)


def gpus_of(config: BackendConfig, gpus: Sequence[Gpu]) -> list[Gpu]:
    """Return the GPUs of a backend. Docker hands out a number of GPUs from the first one on."""
    wanted = config.container.gpus
    if isinstance(wanted, int):
        return list(gpus[:wanted])
    if isinstance(wanted, list):
        return [gpu for gpu in gpus if gpu.uuid in wanted]
    return list(gpus)


def _conversion(shape: Shape, dtype: str) -> float:
    """Return the size in memory over the size in the files."""
    loaded, own = BYTES.get(dtype), BYTES.get(shape.dtype or "auto")
    return loaded / own if loaded and own and not shape.quantized else 1.0


def _kv_bytes(shape: Shape, dtype: str, options: Mapping[str, Any]) -> float:
    """Return the bytes of one number of keys and values."""
    cache = options.get("kv_cache_type") or options.get("kv_cache_dtype")
    names = [name for name in (cache, dtype, shape.dtype) if name not in (None, "auto")]
    if not names or names[0] not in BYTES:
        raise UnknownFormatError(f"size of the number format {names[0] if names else 'auto'}")
    return BYTES[str(names[0])]
