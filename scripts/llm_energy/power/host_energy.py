"""Energy of what did the work together with the host around it, in the widest scope that is known.

Either one device holds all of it, such as the input of the machine, or parts that share nothing are
added up. `scopes.py` defines which scopes hold which.
"""

from collections.abc import Iterator, Sequence
from math import fsum

from llm_energy.power.device_account import Account, total
from llm_energy.power.meter import Scope
from llm_energy.power.scopes import MEANINGS, addable, held
from llm_energy.power.sensor_limits import LIMITS
from llm_energy.results.energy import HostEnergy
from llm_energy.results.parts import Tokens

WHOLE: Sequence[Scope] = ("chassis", "battery", "board", "platform")
"""Scopes whose device is the machine or most of it, widest first. A wall meter is none of the
devices: its log is compared after the measurement."""

EACH_WHOLE = frozenset[Scope]({"chassis"})
"""Scopes whose sensors each show the whole machine, however many it has; several devices of the
others are parts, such as two batteries or the platforms of two sockets."""

Parts = Sequence[Account]


def host_energy(accounts: Parts, scope: Scope, tokens: Tokens | None) -> HostEnergy | None:
    """Return the energy with the host, the widest that is known; None where nothing meters it.

    Args:
        scope: of the devices that did the work, which the host holds.
    """
    sums = list(_candidates(accounts, scope))
    narrower = [[_working(accounts), *sums[number:]] for number in range(1, len(sums) + 1)]
    found = [_energy(*each, tokens) for each in zip(sums, narrower, strict=True)]
    known = [one for one in found if one.energy_joules is not None]
    return next(iter([*known, *found]), None)


def gpu_cpu_dram_joules(accounts: Parts) -> float | None:
    """GPUs of the measurement, CPU packages and memory; None unless all can be read."""
    host = _packages_and_memory(accounts)
    parts = [*(a for a in _working(accounts) if _scope(a) != "cpu_package"), *host]
    if not host or not addable(map(_scope, parts)):
        return None
    return total(account.window.joules for account in parts)


def _candidates(accounts: Parts, scope: Scope) -> Iterator[Parts]:
    """Yield the devices whose sum is the host with what did the work, widest first."""
    for whole in WHOLE:
        devices = _of_scope(accounts, whole)
        if scope in held(whole) and (len(devices) == 1 or whole in EACH_WHOLE):
            yield from ([device] for device in devices)
    modules, sockets = (_once(_of_scope(accounts, part)) for part in ("module", "cpu_socket"))
    if scope in held("module") and modules:
        yield modules
    for host in (sockets, _packages_and_memory(accounts)):
        inside = any(scope == _scope(part) or scope in held(_scope(part)) for part in host)
        parts = host if inside else [*_working(accounts), *host]
        if host and addable(map(_scope, parts)) and (inside or len(parts) > len(host)):
            yield parts


def _once(parts: Parts) -> Parts:
    """Return the devices; none where two have one name: which may be two meters of one socket."""
    names = [part.sensor.device.label for part in parts if part.sensor.device.label]
    return parts if len(set(names)) == len(names) else []


def _energy(parts: Parts, narrower: Sequence[Parts], tokens: Tokens | None) -> HostEnergy:
    joules = total(part.window.joules for part in parts)
    reason = next((part.window.reason for part in parts if part.window.reason), None)
    if joules is not None and any(_less_than(parts, inside) for inside in narrower):
        joules, reason = None, "less_than_its_parts"
    scopes = {_scope(part) for part in parts}
    known = {} if joules is None else _numbers(parts, joules, tokens)
    return HostEnergy(
        scope=" + ".join(scope for scope in MEANINGS if scope in scopes),
        devices=[part.sensor.device.id for part in parts],
        energy_joules=joules,
        reason=reason,
        **known,
    )


def _numbers(parts: Parts, joules: float, tokens: Tokens | None) -> dict[str, float | None]:
    """Return what follows from a known energy and from the limits of its sensors."""
    duration_s = parts[0].duration_s
    limits = [LIMITS[_scope(part)] for part in parts]
    gains = [
        limit.gain_relative * (part.window.joules or 0.0)
        for limit, part in zip(limits, parts, strict=True)
    ]
    per_token = tokens is not None and tokens.output > 0 and joules > 0.0
    return {
        "joules_per_output_token": joules / tokens.output if tokens and per_token else None,
        "mean_power_watts": joules / duration_s,
        "gain_limit_relative": fsum(gains) / joules if joules > 0.0 else None,
        "offset_limit_watts": fsum(limit.offset_watts for limit in limits),
    }


def _less_than(whole: Parts, inside: Parts) -> bool:
    """Return True where devices show less than what they hold, by more than the limits of both."""
    holds = frozenset[Scope]().union(*(held(_scope(part)) for part in whole))
    if not all(_scope(part) in holds for part in inside):
        return False
    if total(part.window.joules for part in inside) is None:
        return False
    return _joules(whole, 1.0) < _joules(inside, -1.0)


def _joules(parts: Parts, sign: float) -> float:
    """Return the sum of known energies with the largest error of that sign."""
    return fsum(
        (part.window.joules or 0.0) * (1.0 + sign * LIMITS[_scope(part)].gain_relative)
        + sign * LIMITS[_scope(part)].offset_watts * part.duration_s
        for part in parts
    )


def _packages_and_memory(accounts: Parts) -> Parts:
    """Return all CPU packages with their memory; empty where one of them is not metered."""
    packages, memory = _of_scope(accounts, "cpu_package"), _of_scope(accounts, "dram")
    return [*packages, *memory] if packages and len(memory) == len(packages) else []


def _working(accounts: Parts) -> Parts:
    return [account for account in accounts if account.counted]


def _of_scope(accounts: Parts, scope: Scope) -> Parts:
    return [a for a in accounts if _scope(a) == scope and a.mirror_of is None]


def _scope(account: Account) -> Scope:
    return account.sensor.device.scope
