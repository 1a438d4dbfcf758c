"""Controls: measurements whose outcome is known beforehand, so that they test the measuring itself.

Those that are measured are experiments like any other (see `twins.py`): they have cells in every
block, processes, results and failures. What they are kept out of is every statement about the
experiments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llm_energy.campaign.types import Model

MeasuredControl = Literal["a_a", "sampler_off"]
ControlKind = Literal["a_a", "idle", "sampler_off"]

MEASURED: Sequence[ControlKind] = ("a_a", "sampler_off")
"""Controls that need measurements of their own."""


class Controls(Model):
    """Measurements whose outcome is known beforehand, so that they test the measuring itself. They
    are made of the `reference`, or of the first experiment where there is none. A control that is
    added to a measured campaign shares no session with it, and then cannot be tested."""

    a_a: bool = False
    """The same settings once more under another name, in an engine process of their own: the ratio
    must be 1. One more measurement in each cycle."""
    idle: bool = False
    """Energy above idle while nothing is asked of the loaded engine, which must be 0: the second
    half of its idle phase, with the first half as the baseline. Measures nothing more."""
    sampler_off: bool = False
    """The same settings without the power sampler in the window: what sampling costs in
    throughput. One more measurement in each cycle."""


@dataclass(frozen=True)
class Control:
    """One control of a campaign."""

    kind: ControlKind
    experiment: str
    """Name under which it is measured; of an idle control, that of its base."""
    base: str
    """The experiment that it is a control of."""


def controls(declared: Controls, base: str) -> list[Control]:
    """The controls that are asked for of the experiment `base`, in declared order."""
    kinds: Sequence[ControlKind] = ("a_a", "idle", "sampler_off")
    return [
        Control(kind, f"{base}.{kind}" if kind in MEASURED else base, base)
        for kind in kinds
        if getattr(declared, kind)
    ]
