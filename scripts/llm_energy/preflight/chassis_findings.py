"""Check the controller (BMC) of the chassis, where a campaign names one."""

import math
import time
from collections.abc import Iterator

from llm_energy.campaign.campaign import Campaign
from llm_energy.power.chassis import (
    NO_POWER,
    Chassis,
    ChassisError,
    ChassisFacts,
    HostPowerSource,
)
from llm_energy.power.chassis_meter import PERIOD_S, connect
from llm_energy.power.sensor import LEAST_UPDATES
from llm_energy.power.series import Samples, update_period_s
from llm_energy.preflight.asking import ask_all, reason
from llm_energy.preflight.findings import Finding

SUBJECT = "chassis power"

DEADLINE_S = 60.0
"""A controller answers three questions about each of its chassis, a second or more each."""

WATCH_S = 10.0
"""How long its value is watched at most: three changes of one that moves every three seconds."""


def chassis_findings(campaign: Campaign) -> Iterator[Finding]:
    """Yield what the declared controller answers; nothing where none is declared."""
    source = HostPowerSource.of(campaign.measurement.host_power)
    if source is None:
        return
    window_s = campaign.measurement.minimum_duration_s
    question = {SUBJECT: lambda: _ask(source, window_s)}
    (answer,) = ask_all(question, deadline_s=DEADLINE_S).values()
    if isinstance(answer, Finding):
        yield answer
        if campaign.parallel:
            message = "stays empty with `parallel`: it is that of all sets together"
            yield Finding("warning", SUBJECT, message)
    else:
        message = str(answer) if isinstance(answer, ChassisError) else reason(answer)
        yield Finding("warning", SUBJECT, f"{message}; without it, every chassis energy is empty")


def _ask(source: HostPowerSource, window_s: float) -> Finding:
    chassis = connect(source)
    power = _watch(chassis)
    took_s, watts, period_s = max(power.read_s), power.values[-1], update_period_s(power)
    facts = {"watts": watts, "longest_answer_s": took_s, "update_period_s": period_s}
    begin = f"{_words(chassis.about)} draws {watts:.0f} W; answers took at most {took_s:.1f} s"
    if period_s is None:
        rule = f"an energy needs a window of {LEAST_UPDATES:g} of its updates"
        return Finding("ok", SUBJECT, f"{begin}; its value hardly changed: {rule}", facts)
    needed_s = LEAST_UPDATES * period_s
    message = f"{begin}; its value changes about every {period_s:.1f} s"
    if needed_s <= window_s:
        return Finding("ok", SUBJECT, message, facts)
    remedy = (
        f"windows of {window_s:g} s are too short for its energy: set "
        f"`measurement.minimum_duration_s` to {math.ceil(needed_s)} or more"
    )
    return Finding("warning", SUBJECT, f"{message}, so that {remedy}", facts)


def _watch(chassis: Chassis) -> Samples:
    """Read the power of a chassis until it has shown how often it changes."""
    times_s, watts, read_s = list[float](), list[float](), list[float]()
    end_s = time.monotonic() + WATCH_S
    while True:
        start_s = time.monotonic()
        power = chassis.power().watts
        if not power:
            raise ChassisError(NO_POWER, f"{_words(chassis.about)} reports no power now")
        times_s.append(start_s)
        watts.append(power)
        read_s.append(time.monotonic() - start_s)
        samples = Samples(tuple(times_s), tuple(watts), tuple(read_s))
        if update_period_s(samples) is not None or time.monotonic() > end_s:
            return samples
        time.sleep(max(0.0, start_s + PERIOD_S - time.monotonic()))


def _words(about: ChassisFacts) -> str:
    resource = about.facts.get("redfish_resource")
    named = f"{about.model} ({about.label})" if about.label else about.model
    return f"{named}, {resource}," if resource else named
