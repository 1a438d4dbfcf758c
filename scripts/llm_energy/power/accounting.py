"""From the raw series of a measurement to the energy of its result: the one entry, and pure.

Gross energy over the window is primary. What is not known is None with a reason code (see
`results/codes.py`); a device that is missing makes the sum None, never smaller.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import fsum
from typing import Any

from llm_energy.power import power_flags
from llm_energy.power.device_account import Account, total
from llm_energy.power.host_energy import gpu_cpu_dram_joules, host_energy
from llm_energy.power.meter import Device, Scope
from llm_energy.power.mirrors import mirrors
from llm_energy.power.scopes import addable
from llm_energy.power.sensor import Method, Sensor
from llm_energy.power.sensor_limits import LIMITS
from llm_energy.power.series import Series
from llm_energy.results.codes import SAMPLER_OFF
from llm_energy.results.energy import Energy
from llm_energy.results.parts import Flag, Phase, Tokens

PIECES = 9
"""The window is cut in so many equal pieces to see how power scatters: three in each third. Fewer
do not show it, more depend on each other."""


@dataclass(frozen=True)
class EnergyAccount:
    """The energy of a measurement with the flags of its power series."""

    energy: Energy
    flags: list[Flag] = field(default_factory=list)
    power_drift_relative: float | None = None
    """Mean power of the last third of the window over the first third, less 1."""
    pieces_joules: tuple[float, ...] | None = None
    """Energy in equal pieces of the window; None where one is not known."""
    parts_joules: float | None = None
    """Energy in the `parts` of the window; None where one is not known."""


def account_energy(
    series: Series | None,
    phases: Sequence[Phase],
    tokens: Tokens | None,
    *,
    scope: Scope | None = None,
    gpus: Collection[str] | None = None,
    method: Method = "counter",
    median_step_s: float | None = None,
    own_processes: Collection[int] | None = None,
    parts: Sequence[tuple[float, float]] = (),
) -> EnergyAccount:
    """The energy of one measurement.

    Args:
        series: what the sampler collected; None or no device is `no_meter`.
        phases: `load`, `idle`, `warmup`, `window`; one that is absent costs only what it gives.
        tokens: counts over the window; None where there was none.
        scope: of the devices that are added up; default: see `default_scope`.
        gpus: UUIDs of the GPUs that the engine ran on; default: all devices of the scope.
        method: the campaign's choice of source.
        median_step_s: median time between tokens, to see whether it locks to a GPU's sensor.
        own_processes: host ids of the measurement's processes; None: others are not looked for.
        parts: spans inside the window whose energy is wanted in sum.
    """
    if series is None or not series.devices:
        return EnergyAccount(_energy(reason="no_meter"))
    scope = scope or default_scope(series.devices)
    repeated = mirrors(series)
    spans = {phase.name: (phase.start_monotonic_s, phase.end_monotonic_s) for phase in phases}
    accounts = [
        Account(
            sensor,
            method if sensor.device.scope == scope else sensor.own_method,
            spans,
            counted=sensor.device.scope == scope
            and sensor.device.id not in repeated
            and (gpus is None or sensor.device.id in gpus),
            mirror_of=repeated.get(sensor.device.id),
        )
        for sensor in (Sensor(device, series) for device in series.devices)
    ]
    counted = [account for account in accounts if account.counted]
    lost = gpus is not None and not set(gpus) <= {a.sensor.device.id for a in counted}
    reasons = [a.window.reason for a in counted if a.window.reason]
    if not addable(account.sensor.device.scope for account in counted):
        reasons.insert(0, "scopes_overlap")
    if lost or not counted:
        reasons.insert(0, "gpu_not_metered" if gpus else "no_meter")
    known: dict[str, Any] = {
        "method": method,
        "scope": scope,
        "devices": [account.record() for account in accounts],
        "simulated": any(account.sensor.device.simulated for account in accounts),
    }
    if "window" in spans:
        known |= {"host": host_energy(accounts, scope, tokens)}
    if not lost:
        known |= _phases(counted)
    if reasons:
        return EnergyAccount(_energy(reason=reasons[0], **known))
    known |= {"gpu_cpu_dram_joules": gpu_cpu_dram_joules(accounts)}
    energy = _energy(**known, **_window(counted, tokens))
    raised = power_flags.of_devices(
        counted, median_step_s=median_step_s, own_processes=own_processes
    )
    in_parts = total(account.parts_joules(parts) for account in counted)
    return EnergyAccount(energy, raised, drift(counted), pieces_of(counted), in_parts)


def unsampled(energy: Energy) -> Energy:
    """The energy of a window in which power was left unread on purpose: None for that reason.

    Another reason, such as a lost device, stays.
    """

    def named(reason: str | None) -> str | None:
        lacks = reason is not None and reason.startswith("no_sample")
        return SAMPLER_OFF if lacks else reason

    devices = [d.model_copy(update={"reason": named(d.reason)}) for d in energy.devices]
    left = {"reason": named(energy.reason), "devices": devices, "host": None}
    return energy.model_copy(update=left)


def for_reason(account: EnergyAccount, reason: str) -> EnergyAccount:
    """Return an account without energy, with the reason why there is none."""
    left = {"reason": reason, "host": None}
    return replace(account, energy=account.energy.model_copy(update=left))


def default_scope(devices: Iterable[Device]) -> Scope:
    """Scope of the GPUs where the host has any, otherwise CPU packages."""
    return next((device.scope for device in devices if device.is_gpu), "cpu_package")


def drift(accounts: Sequence[Account]) -> float | None:
    """Power of all devices in the last third of the window over the first third, less 1."""
    start_s, end_s = accounts[0].spans["window"]
    third = (end_s - start_s) / 3.0
    first = total(account.joules(start_s, start_s + third) for account in accounts)
    last = total(account.joules(end_s - third, end_s) for account in accounts)
    return last / first - 1.0 if first and last is not None else None


def piece_edges_s(start_s: float, end_s: float) -> list[float]:
    """Edges of the equal pieces of a window."""
    return [start_s + (end_s - start_s) * piece / PIECES for piece in range(PIECES + 1)]


def pieces_of(accounts: Sequence[Account]) -> tuple[float, ...] | None:
    """Energy of all devices in equal pieces of the window; None where one is not known."""
    edges_s = piece_edges_s(*accounts[0].spans["window"])
    pieces = [total(account.joules(*span) for account in accounts) for span in pairwise(edges_s)]
    known = tuple(joules for joules in pieces if joules is not None)
    return known if len(known) == PIECES else None


def _phases(counted: Sequence[Account]) -> dict[str, Any]:
    """Energies and powers outside of the window."""
    idle = [account.baseline for account in counted]
    watts = total(baseline.power_watts if baseline else None for baseline in idle)
    errors = total(baseline.standard_error_watts if baseline else None for baseline in idle)
    return {
        "load_energy_joules": total(account.phase_joules("load") for account in counted),
        "warmup_energy_joules": total(account.phase_joules("warmup") for account in counted),
        "loaded_idle_power_watts": watts,
        "loaded_idle_standard_error_watts": errors,
    }


def _window(counted: Sequence[Account], tokens: Tokens | None) -> dict[str, Any]:
    """The energy of the window, which every device knows, and what follows from it."""
    joules = fsum(account.window.joules or 0.0 for account in counted)
    limits = LIMITS[counted[0].sensor.device.scope]
    found = {
        "energy_joules": joules,
        "mean_power_watts": joules / counted[0].duration_s,
        "gain_limit_relative": limits.gain_relative,
        "offset_limit_watts": limits.offset_watts,
        "edge_uncertainty_joules": fsum(a.window.edge_uncertainty_joules for a in counted),
        "sampling_uncertainty_joules": fsum(a.window.sampling_uncertainty_joules for a in counted),
        "gap_uncertainty_joules": fsum(a.window.gap_uncertainty_joules for a in counted),
        "energy_above_loaded_idle_joules": total(account.net_joules for account in counted),
    }
    if tokens is not None and joules > 0.0:
        found |= _per_unit(joules, tokens)
    return found


def _per_unit(joules: float, tokens: Tokens) -> dict[str, float | None]:
    """Gross energy by what was done with it; None where nothing was done."""

    def each(count: int) -> float | None:
        return joules / count if count > 0 else None

    return {
        "joules_per_output_token": each(tokens.output),
        "joules_per_token": each(tokens.input + tokens.output),
        "joules_per_request": each(tokens.requests),
        "output_tokens_per_joule": tokens.output / joules if tokens.output > 0 else None,
    }


def _energy(**known: Any) -> Energy:
    """Return an energy whose only known fields are `known`."""
    nothing: dict[str, Any] = dict.fromkeys(Energy.model_fields)
    nothing |= {"devices": [], "simulated": False}
    return Energy(**(nothing | known))
