"""Comparisons in words."""

from collections.abc import Collection

from llm_energy.results.metrics import (
    HOST_JOULES_PER_OUTPUT_TOKEN,
    JOULES_PER_OUTPUT_TOKEN,
    JOULES_PER_REQUEST,
    THROUGHPUT,
    Metric,
)
from llm_energy.stats.intervals import Interval
from llm_energy.system.numbers import interval, number, percent, plural

PREDICATES = {
    JOULES_PER_OUTPUT_TOKEN: ("uses", "the energy per token"),
    HOST_JOULES_PER_OUTPUT_TOKEN: ("uses", "the energy per token with the host"),
    JOULES_PER_REQUEST: ("uses", "the energy per request"),
    THROUGHPUT: ("has", "the throughput"),
}
"""Metric -> verb, and what there is more or less of."""

DIFFERENT = {
    "other_session": "different sessions",
    "other_device": "different devices",
    "other_power_limit": "different power limits",
    "other_power_mode": "different power modes",
    "other_tokenizer": "different tokenizers",
}
"""Mark of a comparison -> its words in the sentence."""


def comparison_sentence(
    metric: Metric,
    ratio: float,
    bounds: Interval | None,
    *,
    pairs: int,
    family: int = 1,
    same: str = "",
    marks: Collection[str] = (),
    equivalence_margin: float | None = None,
) -> str:
    """`uses 1.83× (1.79 to 1.88) the energy per token, 5 pairs, same GPU`, without the two names.

    Args:
        bounds: simultaneous interval of the ratio; None where it is not testable.
        pairs: 0 where the sides were measured apart.
        family: number of comparisons that the interval holds together with.
        same: what the sides share.
        equivalence_margin: given where the ratio is shown to lie within it.
    """
    verb, what = PREDICATES.get(metric, ("has", f"the {metric.title[0].lower()}{metric.title[1:]}"))
    half_width = bounds.half_width if bounds else None
    held = f" ({interval(bounds.low, bounds.high)})" if bounds else ""
    parts = [f"{verb} {number(ratio, half_width)}×{held} {what}"]
    parts.append(plural(pairs, "pair") if pairs else "no pairs")
    if bounds is None:
        parts.append("too few for an interval")
    parts += [same] if same else []
    parts += [text for code, text in DIFFERENT.items() if code in marks]
    if bounds is not None and metric.sensor:
        between = "other_device" in marks
        parts.append("with the limits of both sensors" if between else "repeatability alone")
    if bounds is not None and family > 1:
        parts.append(f"interval simultaneous over {family} comparisons")
    if equivalence_margin is not None:
        limit = percent(equivalence_margin, 0)
        adjusted = f", adjusted for {family} comparisons" if family > 1 else ""
        parts.append(f"equivalent within ±{limit}{adjusted}")
    return ", ".join(parts)
