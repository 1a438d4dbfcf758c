"""A made-up host and GPUs."""

from llm_energy.power.meter import Device, Reading
from llm_energy.preflight.gpus import Gpu
from llm_energy.preflight.host_findings import Host

QUIET = Host(
    system="Made OS 1",
    kernel="6.1",
    cpu="Made CPU",
    cores=64,
    memory_bytes=256 * 10**9,
    available_bytes=200 * 10**9,
    load_1min=1.0,
    governors=("performance",),
)


def gpu(number: int, memory_bytes: int | None = 80 * 10**9) -> Gpu:
    device = Device(id=f"GPU-{number}", model="Made GPU", scope="gpu_board")
    return Gpu(device, Reading(device.id, 0.0, 0.0, 0.0), memory_bytes)
