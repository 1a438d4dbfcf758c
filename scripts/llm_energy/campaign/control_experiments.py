"""Experiments whose outcome is known beforehand, so that they test the measuring itself.

They are measured in every block like any other, with processes, results and failures, but no
statement about the experiments counts them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llm_energy.campaign.analysis_settings import Controls
from llm_energy.campaign.experiment import ControlKind, Experiment, MeasuredControl
from llm_energy.campaign.identity import short_hash
from llm_energy.campaign.problems import Problems
from llm_energy.campaign.types import canonical
from llm_energy.results.layout import REPLICATE

MEASURED: Sequence[ControlKind] = ("a_a", "sampler_off", "neighbours")
"""Controls that need measurements of their own."""

NAMES = tuple(f".{kind}" for kind in MEASURED)
"""Ends of the names of these, which no other experiment may have: older results of A/A controls are
known by their names alone."""

SAMPLER_OFF = {"sampler": "off"}
"""Addition to the spec of a measurement without the power sampler."""

ALONE = {"neighbours": "none"}
"""Addition to the spec of a measurement while no other set of the host's GPUs measures."""


@dataclass(frozen=True)
class Control:
    """One control of a campaign."""

    kind: ControlKind
    experiment: str
    """Name under which it is measured; of an idle control, that of its base."""
    base: str
    """The experiment that it is a control of."""


def controls(declared: Controls, base: str) -> list[Control]:
    """Return the declared controls of the experiment `base`, in declared order."""
    kinds: Sequence[ControlKind] = ("a_a", "idle", "sampler_off", "neighbours")
    return [
        Control(kind, f"{base}.{kind}" if kind in MEASURED else base, base)
        for kind in kinds
        if getattr(declared, kind)
    ]


def control_experiments(controls: Sequence[Control], base: Experiment) -> Iterator[Experiment]:
    """Yield one experiment for each control that needs measurements of its own.

    Its spec is that of `base` with one addition.
    """
    additions: Mapping[MeasuredControl, Mapping[str, Any]]
    additions = {"a_a": REPLICATE, "sampler_off": SAMPLER_OFF, "neighbours": ALONE}
    for control in controls:
        if control.kind != "idle":
            spec = canonical({**base.spec, **additions[control.kind]})
            yield replace(
                base,
                name=control.experiment,
                group="",
                factors={},
                control=control.kind,
                spec=spec,
                spec_hash=short_hash(spec),
            )


def check_controls(
    controls: Sequence[Control],
    experiments: Sequence[Experiment],
    *,
    baseline_s: float,
    parallel: bool,
    problems: Problems,
) -> None:
    """Add why a control cannot be made, and which experiments have the name of one.

    Args:
        parallel: several sets of GPUs are measured on at once.
    """
    for experiment in experiments:
        if experiment.name.endswith(NAMES):
            message = f"{experiment.name} is a name of a control; rename the group"
            problems.add(("experiments", experiment.group), message)
    for control in controls:
        if control.kind == "neighbours" and not parallel:
            message = "needs `parallel`: without it nothing is measured beside anything"
            problems.add(("controls", "neighbours"), message)
        if control.kind == "idle" and not baseline_s:
            message = "there is no idle phase; set measurement.baseline_s above 0"
            problems.add(("controls", "idle"), message)
