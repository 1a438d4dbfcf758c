"""Check the controller (BMC) of the chassis, where a campaign names one."""

import time
from collections.abc import Iterator

from llm_energy.campaign.campaign import Campaign
from llm_energy.power.chassis import NO_POWER, ChassisError, ChassisFacts, HostPowerSource
from llm_energy.power.chassis_meter import connect
from llm_energy.preflight.asking import ask_all, reason
from llm_energy.preflight.findings import Finding

SUBJECT = "chassis power"

DEADLINE_S = 60.0
"""A controller answers three questions about each of its chassis, a second or more each."""


def chassis_findings(campaign: Campaign) -> Iterator[Finding]:
    """Yield what the declared controller answers; nothing where none is declared."""
    source = HostPowerSource.of(campaign.measurement.host_power)
    if source is None:
        return
    (answer,) = ask_all({SUBJECT: lambda: _ask(source)}, deadline_s=DEADLINE_S).values()
    if isinstance(answer, Finding):
        yield answer
        if campaign.parallel:
            message = "stays empty with `parallel`: it is that of all sets together"
            yield Finding("warning", SUBJECT, message)
    else:
        message = str(answer) if isinstance(answer, ChassisError) else reason(answer)
        yield Finding("warning", SUBJECT, f"{message}; without it, every chassis energy is empty")


def _ask(source: HostPowerSource) -> Finding:
    chassis = connect(source)
    before_s = time.monotonic()
    watts = chassis.power().watts
    took_s = time.monotonic() - before_s
    if not watts:
        raise ChassisError(NO_POWER, f"{_words(chassis.about)} reports no power now")
    message = (
        f"{_words(chassis.about)} draws {watts:.0f} W; the answer took {took_s:.1f} s. Energy of "
        "windows shorter than ten updates of this value stays empty"
    )
    return Finding("ok", SUBJECT, message, {"watts": watts, "answer_s": took_s})


def _words(about: ChassisFacts) -> str:
    resource = about.facts.get("redfish_resource")
    named = f"{about.model} ({about.label})" if about.label else about.model
    return f"{named}, {resource}," if resource else named
