"""Savings and costs of a power limit or a locked clock: paired comparisons along its axis."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from llm_energy.analysis.summary import Comparison
from llm_energy.results.metrics import (
    HOST_JOULES_PER_OUTPUT_TOKEN,
    ITL,
    JOULES_PER_OUTPUT_TOKEN,
    THROUGHPUT,
    TTFT,
    Metric,
)

SHOWN: Sequence[Metric] = (
    *(JOULES_PER_OUTPUT_TOKEN, HOST_JOULES_PER_OUTPUT_TOKEN),
    *(THROUGHPUT, TTFT, ITL),
)

AXES: Mapping[str, tuple[str, str]] = {
    "gpu.power_limit_watts": ("power limit", " W"),
    "gpu.power_limit_watts.of_default": ("default limit", " %"),
    "gpu.sm_clock_mhz": ("SM clock", " MHz"),
    "gpu.sm_clock_mhz.of_default": ("highest SM clock", " %"),
    "gpu.sm_clock_mhz.from": ("lower bound of the SM clock", " MHz"),
    "gpu.sm_clock_mhz.to": ("upper bound of the SM clock", " MHz"),
    "gpu.memory_clock_mhz": ("memory clock", " MHz"),
    "gpu.memory_clock_mhz.of_default": ("highest memory clock", " %"),
    "gpu.memory_clock_mhz.from": ("lower bound of the memory clock", " MHz"),
    "gpu.memory_clock_mhz.to": ("upper bound of the memory clock", " MHz"),
}
"""Factor -> its words, and the unit of its levels."""

KNEE_LOSS = 0.05
"""Loss of throughput that is accepted at the knee."""


@dataclass(frozen=True)
class Effect:
    """One level of an axis against its base, all else being equal."""

    factor: str
    level: float
    base_level: float
    experiment: str
    base: str
    changes: Mapping[str, Comparison]
    """By metric, for those that were compared."""

    @property
    def level_text(self) -> str:
        """The level in words: `70 % of the default limit`, `300 W power limit`."""
        return level_text(self.factor, self.level)


def level_text(factor: str, level: float) -> str:
    """Return a level of an axis in words."""
    words, unit = AXES[factor]
    if unit == " %":
        return f"{100 * level:.4g}\N{NO-BREAK SPACE}% of the {words}"
    return f"{words} {level:.4g}\N{NO-BREAK SPACE}{unit.strip()}"


def limit_effects(comparisons: Iterable[Comparison]) -> dict[tuple[str, str], list[Effect]]:
    """Return the effects by (factor, base experiment), each from the highest level down."""
    found: dict[tuple[str, str], dict[str, list[Comparison]]] = {}
    for one in comparisons:
        if one.factor is not None and one.factor in AXES and one.level and one.base_level:
            of_base = found.setdefault((one.factor, one.base), {})
            of_base.setdefault(one.experiment, []).append(one)
    return {
        key: sorted(
            (_effect(key[0], each) for each in levels.values()), key=lambda effect: -effect.level
        )
        for key, levels in found.items()
    }


def _effect(factor: str, comparisons: Sequence[Comparison]) -> Effect:
    first = comparisons[0]
    return Effect(
        factor=factor,
        level=float(str(first.level)),
        base_level=float(str(first.base_level)),
        experiment=first.experiment,
        base=first.base,
        changes={one.metric: one for one in comparisons},
    )


def knee(effects: Sequence[Effect]) -> Effect | None:
    """Return the lowest level whose throughput is shown to be kept, as all levels above it.

    It is kept where its simultaneous 95 % interval lies above 1 - `KNEE_LOSS`. None where no level
    does, or where the base is not the highest level: then the ratios are to another one.
    """
    if any(effect.level > effect.base_level for effect in effects):
        return None
    found = None
    for effect in effects:  # from the highest level down
        kept = effect.changes.get(THROUGHPUT.column)
        low = None if kept is None else kept.simultaneous_low
        if low is None or low < 1.0 - KNEE_LOSS:
            break
        found = effect
    return found
