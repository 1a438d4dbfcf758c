"""Power of the host's devices without an engine: once in each run and cycle, for its drift alone.

It is never subtracted from anything. When it moves between cycles, something else of the machine
did: its temperature, its clocks, or a process that should not be there.
"""

import time
from collections.abc import Callable, Sequence

from llm_energy.power.meter import Device
from llm_energy.power.sensor import Method, Sensor
from llm_energy.power.series import Series
from llm_energy.results.parts import Flag
from llm_energy.runs.run import Run
from llm_energy.runs.run_records import HostIdle

FOLDER = "host_idle"

DRIFT_LIMIT = 0.05
"""Relative change against the run's first cycle that is flagged. Provisional."""


def known(run: Run, cycle: int) -> dict[str, float]:
    """Device -> watts of that cycle; empty where it was not taken."""
    record = run.find(f"{FOLDER}/cycle-{cycle}", HostIdle)
    return record.watts if record else {}


def first_known(run: Run) -> dict[str, float]:
    """Device -> watts where the run took it first."""
    records = run.all_in(FOLDER, HostIdle).values()
    return min(records, key=lambda record: record.taken_monotonic_s).watts if records else {}


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
    watts = {name: baseline.power_watts for name, baseline in found.items() if baseline}
    run.write(f"{FOLDER}/cycle-{cycle}", HostIdle(start_s, watts))
    return start_s, end_s


def flags(watts: float | None, first_watts: float | None) -> list[Flag]:
    """`idle_drift`, where this cycle's idle power is not that of the run's first cycle."""
    if watts is None or not first_watts or abs(watts / first_watts - 1.0) <= DRIFT_LIMIT:
        return []
    message = (
        f"{watts:.1f} W without an engine, {watts / first_watts - 1.0:+.1%} against the run's "
        f"first cycle (limit ±{DRIFT_LIMIT:.0%})"
    )
    return [Flag(code="idle_drift", message=message)]
