"""How much memory an engine may take: of the host, of its container, or of its GPUs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llm_energy.campaign.schema import BackendConfig
from llm_energy.preflight.gpus import Gpu
from llm_energy.preflight.host_findings import Host
from llm_energy.system.sizes import gigabytes

UNITS = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30}
"""Of `container.memory`, as Docker reads them."""


@dataclass(frozen=True)
class Room:
    """Memory on each device."""

    limit_bytes: float
    words: str


def bytes_of(text: str) -> int:
    """`8g` -> 8589934592."""
    return int(text[:-1]) * UNITS[text[-1]]


def host_room(host: Host, config: BackendConfig) -> Room | None:
    """Of an engine on the CPU; None where the kernel does not tell."""
    if host.available_bytes is None or host.memory_bytes is None:
        return None
    limit = config.container.memory if config.runtime == "docker" else None
    if limit is not None and bytes_of(limit) < host.available_bytes:
        return Room(bytes_of(limit), f"the container's {gigabytes(bytes_of(limit))}")
    words = f"the {gigabytes(host.available_bytes)} available of {gigabytes(host.memory_bytes)}"
    return Room(host.available_bytes, words)


def gpu_room(gpus: Sequence[Gpu], options: dict[str, Any], weights_bytes: float) -> Room | None:
    """Of an engine on GPUs: on the smallest of them; None where one does not tell.

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
    """The GPUs that a backend gets, as Docker gives them out by number: the first ones."""
    wanted = config.container.gpus if config.runtime == "docker" else None
    if isinstance(wanted, int):
        return list(gpus[:wanted])
    if isinstance(wanted, list):
        return [gpu for gpu in gpus if gpu.uuid in wanted]
    return list(gpus)
