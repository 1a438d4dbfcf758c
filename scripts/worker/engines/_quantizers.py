"""Weights that Transformers quantizes while it loads them, with other libraries."""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from worker.engines.base import EngineError

QUANTIZERS: Mapping[str, str] = {
    "bitsandbytes_8bit": "bitsandbytes",
    "bitsandbytes_4bit": "bitsandbytes",
    "quanto_int8": "optimum.quanto",
    "quanto_int4": "optimum.quanto",
    "torchao_int8": "torchao",
}
"""Quantization while loading -> the module that does it. None is in the pinned environment."""


def quantizing_arguments(quantization: str, device: str) -> dict[str, Any]:
    """Return the arguments of `from_pretrained` that quantize while it loads.

    Raises:
        EngineError: the library that does it is not installed.
    """
    if quantization == "auto":
        return {}
    package = QUANTIZERS[quantization]
    if not _is_installed(package):
        raise EngineError(
            f"quantization {quantization} needs the package {package.replace('.', '-')}, "
            "which this environment does not have"
        )
    from transformers import BitsAndBytesConfig, QuantoConfig, TorchAoConfig

    method, _, width = quantization.partition("_")
    if method == "bitsandbytes":
        config = BitsAndBytesConfig(load_in_8bit=width == "8bit", load_in_4bit=width == "4bit")
    elif method == "quanto":
        config = QuantoConfig(weights=width)
    else:
        config = TorchAoConfig(import_module("torchao.quantization").Int8WeightOnlyConfig())
    return {"quantization_config": config, "device_map": {"": device}}


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it is in is not there either
        return False


def quantization_method(quantization: Any) -> str | None:
    """Return the method in a model's quantization settings, a mapping or an object."""
    if quantization is None:
        return None
    if isinstance(quantization, Mapping):
        return str(quantization["quant_method"])
    return str(getattr(quantization.quant_method, "value", quantization.quant_method))
