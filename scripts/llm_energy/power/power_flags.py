"""The flags that the power series of a measurement can raise."""

from collections.abc import Collection, Iterable, Sequence

from llm_energy.power import plausibility
from llm_energy.power.device_account import Account
from llm_energy.power.meter import State
from llm_energy.results.parts import Flag

DRIFT_LIMIT = 0.03
"""Relative change of power over the window that counts as drift: as for throughput."""

SPIKE_LIMIT = 1.5
"""Single samples over the enforced limit from which they are flagged. Provisional."""

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
    on_gpu = any(account.sensor.device.scope == "gpu_board" for account in accounts)
    if on_gpu and median_step_s is not None and plausibility.alias_risk(median_step_s):
        message = f"median time between tokens {1e3 * median_step_s:.1f} ms"
        raised.append(Flag(code="alias_risk", message=message))
    return raised


def of_drift(power_drift_relative: float | None) -> list[Flag]:
    """The flag of a window whose power drifts; None where the drift is not known."""
    if power_drift_relative is None or abs(power_drift_relative) <= DRIFT_LIMIT:
        return []
    message = f"{power_drift_relative:+.1%} (limit ±{DRIFT_LIMIT:.0%})"
    return [Flag(code="power_drift", message=message)]


def foreign_processes(states: Iterable[State], own: Collection[int]) -> list[int]:
    """Ids of processes seen on a device that are not the measurement's own."""
    return sorted({pid for state in states for pid in state.process_ids or ()} - set(own))


def _listed(accounts: Iterable[Account], own: Collection[int]) -> bool:
    """Return True where the driver lists a process of the measurement on some device.

    Inside a container it lists the host's ids, by which our own processes are not known: then
    nothing can be said of others.
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
    limits = {state.power_limit_watts for state in states if state.power_limit_watts}
    if len(limits) > 1:
        found["power_limit_changed"] = f"{min(limits):.0f} to {max(limits):.0f} W"
    limit = account.sensor.power_limit_watts(*span)
    highest = max(account.sensor.power(*span).values, default=0.0)
    if limit is not None and highest > SPIKE_LIMIT * limit:
        found["power_spike"] = f"{highest:.0f} W at a limit of {limit:.0f} W"
    return [Flag(code=code, message=f"{device.id}: {text}") for code, text in found.items()]
