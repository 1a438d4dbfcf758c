"""The flags that the power series of a measurement can raise."""

from collections.abc import Collection, Iterable, Sequence
from statistics import median

from llm_energy.power import plausibility
from llm_energy.power.device_account import Account
from llm_energy.power.meter import State
from llm_energy.results.parts import Flag

SPIKE_LIMIT = 1.5
"""Single samples over the enforced limit from which they are flagged. Provisional."""

DELIVERED_SHARE = 0.9
"""Delivered over requested sampling rate below which a window is flagged. Provisional."""

LEAST_PERIODS = 10
"""Sampling periods that a window must last before its rate is judged."""

PROTECTION = {"hardware_slowdown", "software_thermal", "hardware_thermal", "hardware_power_brake"}
"""Throttle reasons that change what is measured; a power cap is how big GPUs run."""


def of_devices(
    accounts: Sequence[Account],
    *,
    median_step_s: float | None,
    own_processes: Collection[int] | None,
) -> list[Flag]:
    """Flags of the counted devices over the window."""
    own = own_processes if _listed(accounts, own_processes or ()) else None
    raised = [flag for account in accounts for flag in _of_device(account, own)]
    raised += _slow_sampling(accounts)
    on_gpu = any(account.sensor.device.is_gpu for account in accounts)
    if on_gpu and median_step_s is not None and plausibility.alias_risk(median_step_s):
        message = f"median time between tokens {1e3 * median_step_s:.1f} ms"
        raised.append(Flag(code="alias_risk", message=message))
    return raised


def foreign_processes(states: Iterable[State], own: Collection[int]) -> list[int]:
    """Ids of processes seen on a device that are not the measurement's own."""
    return sorted({pid for state in states for pid in state.process_ids or ()} - set(own))


def _slow_sampling(accounts: Sequence[Account]) -> list[Flag]:
    """The flag of a window whose readings came more slowly than requested.

    One thread reads one device after the other, so that they all get the same rate.
    """
    series, (start_s, end_s) = accounts[0].sensor.series, accounts[0].spans["window"]
    if (end_s - start_s) * series.rate_hz < LEAST_PERIODS:
        return []
    slowest_hz, read_s = min(_delivered(account) for account in accounts)
    if slowest_hz >= DELIVERED_SHARE * series.rate_hz:
        return []
    message = (
        f"{slowest_hz:.1f} of {series.rate_hz:g} Hz; one reading takes {1e3 * read_s:.1f} ms, "
        f"of {sum(d.own_period_s is None for d in series.devices)} devices in turn"
    )
    return [Flag(code="slow_sampling", message=message)]


def _delivered(account: Account) -> tuple[float, float]:
    """Return the rate in Hz at which a device was read in the window, and the median time in s that
    a reading took."""
    start_s, end_s = account.spans["window"]
    readings = account.sensor.series.by_device[account.sensor.device.id]
    inside = [r for r in readings if start_s <= r.monotonic_s <= end_s]
    if len(inside) < 2:
        return 1.0 / (end_s - start_s), median(r.read_s for r in readings)
    lasted_s = inside[-1].monotonic_s - inside[0].monotonic_s
    return (len(inside) - 1) / lasted_s, median(r.read_s for r in inside)


def _listed(accounts: Iterable[Account], own: Collection[int]) -> bool:
    """Return True where the driver lists a process of the measurement on some device.

    Inside a container it lists the host's ids, by which our own processes are not known: then
    nothing is known of others.
    """
    listed = {
        pid
        for account in accounts
        for reading in account.sensor.series.readings
        if reading.state is not None
        for pid in reading.state.process_ids or ()
    }
    return not listed.isdisjoint(own)


def _of_device(account: Account, own_processes: Collection[int] | None) -> list[Flag]:
    device, span = account.sensor.device, account.spans["window"]
    states = account.sensor.states(*span)
    found: dict[str, str] = {}
    if own_processes is not None and (foreign := foreign_processes(states, own_processes)):
        found["contended"] = f"processes {', '.join(map(str, foreign))}"
    if state := plausibility.summarise(states):
        if slowed := sorted(PROTECTION.intersection(state.throttle_reasons)):
            found["slowed_down"] = ", ".join(slowed)
        if "software_power_cap" in state.throttle_reasons:
            found["power_capped"] = f"mean SM clock {state.sm_clock_mean_mhz} MHz"
    if account.window.gap_bound > 0.0:
        found["sampling_gap"] = f"by up to {account.window.gap_bound:.2%}"
    if late := [stamp for edge in span if (stamp := account.late_at(edge))]:
        found["late_reading"] = f"it took {max(stamp.read_s for stamp in late):.2f} s"
    limits = {state.power_limit_watts for state in states if state.power_limit_watts}
    if len(limits) > 1:
        found["power_limit_changed"] = f"{min(limits):.0f} to {max(limits):.0f} W"
    limit = account.sensor.power_limit_watts(*span)
    highest = max(account.sensor.power(*span).values, default=0.0)
    if limit is not None and highest > SPIKE_LIMIT * limit:
        found["power_spike"] = f"{highest:.0f} W at a limit of {limit:.0f} W"
    return [Flag(code=code, message=f"{device.id}: {text}") for code, text in found.items()]
