"""Comparisons along each axis: of experiments that differ in it and in nothing else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llm_energy.campaign.campaign_file import CampaignConfig, Group
from llm_energy.campaign.experiment import Experiment

Axis = tuple[str, ...]
"""The settings that vary together: one, or those of a linked block."""


@dataclass(frozen=True)
class Contrast:
    """Two experiments of a group with different levels of one axis, all else being equal."""

    factor: str
    """Dotted settings of the axis, joined by ` + `."""
    level: str
    base_level: str
    experiment: str
    base: str
    """The experiment that it is compared with."""


def axes_of(group: Group) -> list[Axis]:
    """Return the axes of a group, in declared order."""
    return [(key,) for key in group.axes] + [tuple(block) for block in group.linked]


def contrasts(config: CampaignConfig, experiments: Sequence[Experiment]) -> tuple[Contrast, ...]:
    """Return every contrast along every axis, or along those that vary one of the factors.

    Rates of arrivals are no rivals: latencies at two of them say nothing of a configuration.

    The base of an axis is the level of the reference where its group has it, otherwise the level
    that is declared first.
    """
    factors = config.comparisons.factors
    members: dict[str, list[Experiment]] = {name: [] for name in config.experiments}
    for experiment in experiments:
        members[experiment.group].append(experiment)
    return tuple(
        contrast
        for name, group in config.experiments.items()
        for axis in axes_of(group)
        if "request_rate" not in axis and (factors is None or set(axis) & set(factors))
        for contrast in _along(axis, members[name], config.reference)
    )


def _along(axis: Axis, members: Sequence[Experiment], reference: str | None) -> Iterator[Contrast]:
    preferred = next((_level(axis, e) for e in members if e.name == reference), None)
    equal: dict[str, list[Experiment]] = {}
    for experiment in members:
        rest = {key: value for key, value in experiment.factors.items() if key not in axis}
        equal.setdefault(repr(rest), []).append(experiment)
    for rivals in equal.values():
        base = next((e for e in rivals if _level(axis, e) == preferred), rivals[0])
        for other in rivals:
            if other is not base:
                yield Contrast(
                    factor=" + ".join(axis),
                    level=_level(axis, other),
                    base_level=_level(axis, base),
                    experiment=other.name,
                    base=base.name,
                )


def _level(axis: Axis, experiment: Experiment) -> str:
    return ", ".join(str(experiment.factors[key]) for key in axis)
