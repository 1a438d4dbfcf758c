"""Check that the GPUs can be set as a campaign asks, and name those that somebody left set."""

from collections.abc import Iterator, Sequence

from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.gpu_settings import GpuSettings
from llm_energy.power import gpu_control
from llm_energy.power.gpu_control import GpuControlError, Outstanding
from llm_energy.power.gpu_targets import GpuTargetError, GpuTargets
from llm_energy.preflight.findings import Finding
from llm_energy.preflight.gpu_sets import unlike
from llm_energy.preflight.gpus import Gpu

SUBJECT = "gpu limits"


def sets_gpus(campaign: Campaign) -> bool:
    """Return whether an experiment asks for a power limit or clocks."""
    return any(experiment.settings.gpu.declared() for experiment in campaign.experiments)


def control_findings(campaign: Campaign, gpus: Sequence[Gpu]) -> Iterator[Finding]:
    """Yield a problem for each GPU that cannot be set as an experiment asks; and each that another
    living process has set, on which no measurement of this campaign is made."""
    sets, own = sets_gpus(campaign), {gpu.uuid for gpu in gpus}
    held = [one for one in gpu_control.outstanding() if one.owner_lives and one.device in own]
    for one in held:
        yield Finding("problem" if sets else "warning", SUBJECT, _others(one), _facts(one))
    if not sets:
        return
    wanted = {repr(e.settings.gpu): e.settings.gpu for e in campaign.experiments}.values()
    refused = gpu_control.refusal()
    for gpu in (gpu for gpu in gpus if not gpu.lost):
        faults = sorted({fault for each in wanted for fault in _faults(gpu, each)})
        if gpu.device.facts["persistence_mode"] is not True:
            faults.append(
                "persistence mode is off, and the driver forgets what is set: "
                f"sudo nvidia-smi -i {gpu.uuid} -pm 1"
            )
        faults += [right] if (right := refused or _refused(gpu.uuid)) else []
        for fault in faults:
            yield Finding("problem", SUBJECT, f"{gpu.uuid}: {fault}", {"uuid": gpu.uuid})
        if not faults and gpu.uuid not in [one.device for one in held]:
            board = gpu.settable
            message = f"{gpu.uuid}: can be set, from {board.least_limit_watts:g} to "
            message += f"{board.greatest_limit_watts:g} W (default {board.default_limit_watts:g} W)"
            yield Finding("ok", SUBJECT, message, {"uuid": gpu.uuid})


def limit_findings(gpus: Sequence[Gpu]) -> Iterator[Finding]:
    """Yield a problem where GPUs that blocks take turns on have several power limits, which the
    campaign leaves as they are."""
    set_now = {one.device for one in gpu_control.outstanding()}  # which a run or its end restores
    if len({gpu.device.model for gpu in gpus}) > 1:
        return  # reported as that
    limits = {gpu.uuid: gpu.device.power_limit_watts for gpu in gpus if gpu.uuid not in set_now}
    if several := unlike({uuid: f"{watts:g} W" for uuid, watts in limits.items() if watts}):
        message = (
            f"the GPUs have several power limits, whose results are never averaged ({several}); "
            "set the same (sudo nvidia-smi -i UUID -pl WATTS), or list those of one limit in "
            "parallel.devices"
        )
        yield Finding("problem", SUBJECT, message)


def outstanding_findings() -> Iterator[Finding]:
    """Yield a finding for each GPU of this host that was set by a dead process and is not
    restored, and for each record that nobody can read."""
    for one in gpu_control.outstanding():
        if one.owner_lives:
            continue
        message = (
            f"{one.device}: {one.owner} set its limits and died; it had {one.found_watts:g} W. The "
            f"next start of a campaign restores it, or: {one.command}"
        )
        yield Finding("warning", SUBJECT, message, _facts(one))
    for path in gpu_control.damaged_records():
        message = (
            f"{path} is damaged or cannot be read, so that nobody knows what was set; set the GPU "
            f"as it should be (sudo nvidia-smi -i {path.stem} -pl WATTS), then: sudo rm {path}"
        )
        yield Finding("warning", SUBJECT, message, {"uuid": path.stem})


def _others(one: Outstanding) -> str:
    message = f"{one.device}: {one.owner} has set its limits"
    if one.owner_elsewhere:
        return f"{message}; once it has ended: {one.command}"
    return f"{message}, and lives; wait, or end it"


def _facts(one: Outstanding) -> dict[str, object]:
    return {"uuid": one.device, "owner_pid": one.owner_pid, "found_watts": one.found_watts}


def _faults(gpu: Gpu, wanted: GpuSettings) -> Iterator[str]:
    try:
        if targets := GpuTargets.of(wanted.declared()):
            targets.on(gpu.settable)
    except GpuTargetError as error:
        yield str(error)


def _refused(uuid: str) -> str | None:
    try:
        gpu_control.check(uuid)
    except GpuControlError as error:
        return str(error).removeprefix(f"{uuid}: ")
    return None
