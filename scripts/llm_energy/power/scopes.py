"""Scopes of energy: what each covers and which holds which, defined here alone.

A device lies in one scope. Energies are added up only where none of their domains can hold a part
of another.
"""

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import get_args

from llm_energy.power.meter import Scope

MEANINGS: Mapping[Scope, str] = {
    "rail": "one supply rail of a board or socket; what it feeds is known by its label alone",
    "gpu_chip": "the package of a GPU, without the board around it",
    "gpu_board": "a GPU with its memory, regulators and fans",
    "cpu_package": "a processor package, without memory",
    "dram": "memory of a processor package",
    "cpu_socket": "a processor with its memory and regulators",
    "module": "GPU, processor and memory of one superchip",
    "board": "the input of a single-board computer or compute module",
    "platform": "what the processor's maker calls the platform (RAPL's psys)",
    "battery": "what a computer takes from its battery",
    "chassis": "the input of a machine, as its own controller or firmware measures it",
    "wall": "the input of a machine, as a meter outside of it measures it",
}

HOLDS: Mapping[Scope, tuple[Scope, ...]] = {
    "rail": (),
    "gpu_chip": ("rail",),
    "gpu_board": ("gpu_chip",),
    "cpu_package": ("rail",),
    "dram": ("rail",),
    "cpu_socket": ("cpu_package", "dram"),
    "module": ("gpu_board", "cpu_socket"),
    "board": ("module",),
    "platform": ("cpu_package",),
    "battery": ("board", "platform"),
    "chassis": ("battery",),
    "wall": ("chassis",),
}
"""Scope -> those that lie wholly inside of it, each with all that it holds itself."""

MAY_HOLD: Mapping[Scope, tuple[Scope, ...]] = {
    "rail": get_args(Scope),
    "platform": ("cpu_socket", "module", "board"),
}
"""Scope -> those that may lie inside of it: makers differ, or do not say."""

APART = frozenset[Scope](
    {"gpu_chip", "gpu_board", "cpu_package", "dram", "cpu_socket", "module"},
)
"""Scopes whose devices never share a part: boards, packages, sockets."""


def held(scope: Scope) -> frozenset[Scope]:
    """Return all scopes that lie wholly inside of a scope."""
    return frozenset(HOLDS[scope]).union(*(held(inner) for inner in HOLDS[scope]))


def may_be_held(scope: Scope) -> frozenset[Scope]:
    """Return the scopes that lie inside of a scope on some machines and not on others."""
    possible = MAY_HOLD.get(scope, ())
    found = frozenset(possible).union(*(held(inner) for inner in possible))
    return found - held(scope) - {scope}


def overlap(one: Scope, other: Scope) -> bool:
    """Return True where two devices of these scopes may share a part."""
    if one == other:
        return one not in APART
    inside = {scope: held(scope) | may_be_held(scope) for scope in (one, other)}
    return one in inside[other] or other in inside[one]


def addable(scopes: Iterable[Scope]) -> bool:
    """Return True where the energies of devices of these scopes may be added up."""
    return not any(overlap(*pair) for pair in combinations(scopes, 2))


def table() -> str:
    """Return the scopes as a table of Markdown, for `docs/energy.md`."""
    rows = ["| Scope | Covers | Holds | May hold |", "|---|---|---|---|"]
    rows += [
        f"| `{scope}` | {meaning} | {_names(held(scope))} | {_names(may_be_held(scope))} |"
        for scope, meaning in MEANINGS.items()
    ]
    return "\n".join(rows) + "\n"


def _names(scopes: frozenset[Scope]) -> str:
    if len(scopes) == len(MEANINGS) - 1:
        return "all others"
    return ", ".join(f"`{scope}`" for scope in MEANINGS if scope in scopes)
