"""Power of the host's devices without an engine: once in each run and cycle, for its drift alone.

It is never subtracted from anything. When it moves between cycles, something else of the machine
did: its temperature, its clocks, or a process that should not be there.
"""

import math
import time
from collections.abc import Callable, Collection, Sequence
from math import fsum

from llm_energy.power.device_account import total
from llm_energy.power.meter import Device
from llm_energy.power.sensor import Method, Sensor
from llm_energy.power.series import Series
from llm_energy.results.parts import Flag
from llm_energy.runs.run import Run
from llm_energy.runs.run_records import HostIdle

FOLDER = "host_idle"

DRIFT_LIMIT = 0.05
"""Relative change against the run's first cycle that is flagged. Provisional."""

UNCERTAINTIES = 3.0
"""Standard uncertainties of the change that it must exceed as well: a constant device whose power
scatters by itself changes by less in 99.7 %."""


def known(run: Run, cycle: int) -> HostIdle | None:
    """The record of that cycle; None where it was not taken."""
    return run.find(f"{FOLDER}/cycle-{cycle}", HostIdle)


def first_known(run: Run) -> HostIdle | None:
    """The record that the run took first."""
    records = run.all_in(FOLDER, HostIdle).values()
    return min(records, key=lambda record: record.taken_monotonic_s, default=None)


def take(
    run: Run,
    cycle: int,
    *,
    devices: Sequence[Device],
    method: Method,
    duration_s: float,
    series: Callable[[float], Series],
) -> tuple[float, float]:
    """Wait for `duration_s` and keep what the devices drew; returns when that was.

    Args:
        devices: those whose energy counts.
        series: the readings since a moment.
    """
    start_s = time.monotonic()
    time.sleep(duration_s)
    end_s = time.monotonic()
    seen = series(start_s - 1.0)
    found = {d.id: Sensor(d, seen).baseline(method, start_s, end_s) for d in devices}
    idle = {name: baseline for name, baseline in found.items() if baseline}
    record = HostIdle(
        start_s,
        {name: baseline.power_watts for name, baseline in idle.items()},
        {name: baseline.uncertainty_watts for name, baseline in idle.items()},
    )
    run.write(f"{FOLDER}/cycle-{cycle}", record)
    return start_s, end_s


def watts_of(record: HostIdle | None, devices: Collection[str]) -> float | None:
    """Power of the devices together; None where one of them is not in the record."""
    return None if record is None else total(map(record.watts.get, devices))


def flags(record: HostIdle | None, first: HostIdle | None, devices: Collection[str]) -> list[Flag]:
    """`idle_drift`, where this cycle's idle power is not that of the run's first cycle.

    The change must exceed both `DRIFT_LIMIT` and what is not known of the two powers. Uncertainties
    of several devices add, as those of their loaded idle do.

    Args:
        devices: those whose energy counts.
    """
    watts, first_watts = watts_of(record, devices), watts_of(first, devices)
    if record is None or first is None or watts is None or not first_watts:
        return []
    uncertainty_watts = math.hypot(
        *(fsum(each.uncertainty_watts.get(d, 0.0) for d in devices) for each in (record, first))
    )
    change_watts = watts - first_watts
    if abs(change_watts) <= max(DRIFT_LIMIT * first_watts, UNCERTAINTIES * uncertainty_watts):
        return []
    message = (
        f"{watts:.1f} W without an engine, {change_watts / first_watts:+.1%} against the run's "
        f"first cycle, standard uncertainty {uncertainty_watts / first_watts:.1%} "
        f"(limit ±{DRIFT_LIMIT:.0%} and {UNCERTAINTIES:g} standard uncertainties)"
    )
    return [Flag(code="idle_drift", message=message)]
