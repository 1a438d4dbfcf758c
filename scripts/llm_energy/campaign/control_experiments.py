"""The experiments that controls measure: the settings of another one, under names of their own."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from llm_energy.campaign.control_settings import MEASURED, Control
from llm_energy.campaign.experiment import Experiment
from llm_energy.campaign.identity import short_hash
from llm_energy.campaign.problems import Problems
from llm_energy.campaign.types import canonical

SAMPLER_OFF = {"sampler": "off"}
"""What the spec of a measurement without the power sampler says in addition."""


def twins(controls: Sequence[Control], base: Experiment) -> Iterator[Experiment]:
    """One experiment for each control that needs measurements of its own.

    The one of an A/A control has the spec of `base`, hash included: nothing but the name differs.
    """
    for control in controls:
        twin = replace(base, name=control.experiment, group="", factors={})
        if control.kind == "a_a":
            yield replace(twin, control="a_a")
        elif control.kind == "sampler_off":
            spec = canonical({**base.spec, **SAMPLER_OFF})
            yield replace(twin, control="sampler_off", spec=spec, spec_hash=short_hash(spec))


def check_controls(
    controls: Sequence[Control],
    experiments: Sequence[Experiment],
    *,
    baseline_s: float,
    problems: Problems,
) -> None:
    """Whether the controls can be made at all."""
    names = {experiment.name for experiment in experiments}
    for control in controls:
        if control.kind in MEASURED and control.experiment in names:
            message = f"an experiment is named {control.experiment} already; rename its group"
            problems.add(("controls", control.kind), message)
        if control.kind == "idle" and not baseline_s:
            message = "there is no idle phase; set measurement.baseline_s above 0"
            problems.add(("controls", "idle"), message)
