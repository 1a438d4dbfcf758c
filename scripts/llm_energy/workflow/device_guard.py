"""The guard against adding to a campaign on another device model than it was measured on."""

from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path

from llm_energy.preflight.gpus import Answer
from llm_energy.results.result import ResultError, read_result
from llm_energy.system.host import cpu_model


class ForeignDeviceError(Exception):
    """The campaign was measured on another device model."""


def refuse_foreign_device(
    campaign: str,
    device: str,
    results: Iterable[Path],
    *,
    gpus: Answer,
    only: Collection[str] = (),
) -> None:
    """Let a campaign go on only on the device model that it began on.

    Args:
        campaign: its name.
        device: `cpu` or `gpu`.
        results: where its results are or will be.
        gpus: what the driver shows; not looked at on the CPU.
        only: the GPUs that it measures on, by UUID; none: all of the host.

    Raises:
        ForeignDeviceError: with the remedy.
    """
    found = foreign_device(device, results, gpus=gpus, only=only)
    if found is not None:
        there, here = found
        raise ForeignDeviceError(
            f"campaign `{campaign}` was measured on `{there}`, this is `{here}`; name another "
            "campaign, or add to it knowingly: --config new_device=true"
        )


def foreign_device(
    device: str, results: Iterable[Path], *, gpus: Answer, only: Collection[str] = ()
) -> tuple[str, str] | None:
    """The device model of a campaign's results and what is here, where they differ.

    Results of one campaign belong together: another device model is another campaign. None where
    nothing is measured yet, and where no GPU can be read, which preflight reports.
    """
    there = _measured_on(results)
    if there is None:
        return None
    if device == "cpu":
        here = [cpu_model()]
    elif isinstance(gpus, Exception):
        return None
    else:
        usable = [gpu for gpu in gpus if not gpu.lost and (not only or gpu.uuid in only)]
        here = sorted({gpu.device.model for gpu in usable})
    return None if there in here else (there, ", ".join(here))


def _measured_on(results: Iterable[Path]) -> str | None:
    # 100,000 results that are not there yet are not looked up singly on a cluster's file system.
    names = cache(lambda folder: {path.name for path in folder.glob("*")})
    for path in results:
        if path.name not in names(path.parent):
            continue
        try:
            return read_result(path).environment.device_model
        except ResultError:
            continue  # unusable: aggregation reports it
    return None
