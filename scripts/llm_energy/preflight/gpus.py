"""The GPUs of this machine, as NVML or AMD SMI shows them now."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from llm_energy.power.amd_smi import VENDOR, AmdSmiMeter
from llm_energy.power.gpu_driver import GpuDriverError, connect_gpus
from llm_energy.power.gpu_targets import GpuRange
from llm_energy.power.meter import Device, Reading
from llm_energy.power.sensor_probe import LOST, probe
from llm_energy.preflight.asking import RefusalError, SilentError, ask_all


class NoGpuError(RefusalError):
    """There is no GPU to be seen; the message says why, with the remedy where there is one."""


@dataclass(frozen=True)
class Gpu:
    """One GPU at one moment; None where it does not say."""

    device: Device
    reading: Reading
    """With its state."""
    memory_bytes: int | None = None
    default_limit_watts: float | None = None
    """The power limit that the board is delivered with."""
    settable: GpuRange = field(default_factory=GpuRange)
    """Range that it can be set to."""
    cpus: tuple[int, ...] | None = None
    """The CPUs near it."""
    update_periods_s: Mapping[str, float | None] = field(default_factory=dict)
    """Quantity -> how often its sensor changes, as far as that was looked at and seen."""
    unreadable: str | None = None
    """Reason code of a GPU that the driver lists and does not show."""
    index: int = 0
    """Its number in the driver's list."""

    @property
    def uuid(self) -> str:
        return self.device.id

    @property
    def is_amd(self) -> bool:
        return self.device.facts.get("vendor") == VENDOR

    @property
    def lost(self) -> str | None:
        """Reason code of a GPU that cannot be used."""
        codes = self.reading.unavailable.values()
        return self.unreadable or next((code for code in codes if code in LOST), None)


Answer = Sequence[Gpu] | Exception
"""Every GPU that the driver shows, or the reason why none can be read."""


def ask_gpus() -> Answer:
    """Return every GPU, or why none can be read; with a deadline, as a driver may never answer.

    A silent driver is asked twice: without persistence mode it first has to load its GPUs.
    """
    answer: Answer = ask_all({"gpus": read_gpus})["gpus"]
    if isinstance(answer, SilentError):
        answer = ask_all({"gpus": read_gpus})["gpus"]
    return answer


def read_gpus(*, probed: bool = False) -> list[Gpu]:
    """Every GPU, by UUID, in the driver's order; those that cannot be read come last, by index.

    Args:
        probed: whether to watch the sensors for some seconds too, for their update periods.

    Raises:
        NoGpuError: no driver is there, or none works or shows a GPU.
    """
    try:
        meter = connect_gpus()
    except GpuDriverError as error:
        raise NoGpuError(str(error)) from None
    with closing(meter):
        readable = (index for index in count() if index not in meter.unreadable)
        gpus = {
            device.id: Gpu(
                device,
                meter.read(device, slow=True),
                memory_bytes=meter.memory_bytes(device),
                default_limit_watts=meter.default_limit_watts(device),
                settable=meter.settable(device),
                cpus=meter.cpus(device),
                index=index,
            )
            for device, index in zip(meter.devices, readable)  # noqa: B905
        }
        for id_, abilities in (probe([meter]) if probed else {}).items():
            gpus[id_] = _watched(gpus[id_], abilities["fields"])
    amd = isinstance(meter, AmdSmiMeter)
    unreadable = [_unreadable(index, code, amd=amd) for index, code in meter.unreadable.items()]
    if not gpus and not unreadable:
        raise NoGpuError("the driver shows no GPU")
    return [*gpus.values(), *unreadable]


def are_amd(gpus: object) -> bool:
    """Return whether an answer to `read_gpus`, which may be an error, shows GPUs of AMD."""
    return isinstance(gpus, list) and any(gpu.is_amd for gpu in gpus)


def _watched(gpu: Gpu, fields: Mapping[str, Any]) -> Gpu:
    """The GPU with what watching its sensors showed."""
    reasons = {quantity: field["reason"] for quantity, field in fields.items() if field["reason"]}
    periods_s = {quantity: field["update_period_s"] for quantity, field in fields.items()}
    reading = replace(gpu.reading, unavailable=reasons)
    return replace(gpu, reading=reading, update_periods_s=periods_s)


def _unreadable(index: int, code: str, *, amd: bool) -> Gpu:
    """A GPU that the driver lists and cannot show."""
    device = Device(
        id=f"GPU {index}",
        model=f"unknown {VENDOR if amd else 'NVIDIA'} GPU",
        scope="gpu_board",
        facts={"vendor": VENDOR} if amd else {},
    )
    reading = Reading(device.id, 0.0, 0.0, 0.0)
    return Gpu(device, reading, unreadable=code, index=index)
