"""Estimate of the memory that an experiment's engine needs: weights, keys and values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm_energy.preflight.model_shape import Shape

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


@dataclass(frozen=True)
class Estimate:
    """Bytes of one engine process on each of its devices."""

    weights_bytes: float
    kv_bytes: float
    at_most: bool = False
    """It may be less: the engine packs the weights while it loads them, or layers keep only the
    newest tokens."""

    @property
    def total_bytes(self) -> float:
        return self.weights_bytes + self.kv_bytes


class UnknownFormatError(Exception):
    """A number format whose size is not known."""


def estimate(
    shape: Shape, *, dtype: str, context_tokens: int, slots: int, options: Mapping[str, Any]
) -> Estimate:
    """What an engine needs for a model.

    Args:
        dtype: as the experiment has it, `auto` for the model's own.
        options: of the engine. Those that count are called alike in all engines that have them.

    Raises:
        UnknownFormatError: keys and values are of a format that neither settings nor model name.
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
    return Estimate(
        weights_bytes=weights / devices,
        kv_bytes=kv,
        at_most=packs or shape.windowed,
    )


def _conversion(shape: Shape, dtype: str) -> float:
    """Size in memory over size in the files."""
    asked, own = BYTES.get(dtype), BYTES.get(shape.dtype or "auto")
    return asked / own if asked and own and not shape.quantized else 1.0


def _kv_bytes(shape: Shape, dtype: str, options: Mapping[str, Any]) -> float:
    """Bytes of one number of keys and values."""
    asked = options.get("kv_cache_type") or options.get("kv_cache_dtype") or "auto"
    names = [name for name in (asked, dtype, shape.dtype) if name not in (None, "auto")]
    if not names or names[0] not in BYTES:
        raise UnknownFormatError(f"size of the number format {names[0] if names else 'auto'}")
    return BYTES[str(names[0])]
