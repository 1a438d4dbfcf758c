"""The cost of the serving layer: an engine over HTTP against the same engine called directly."""

from collections.abc import Mapping

from llm_energy.analysis.summary import Comparison, Summary
from llm_energy.report.comparison_section import VERDICTS
from llm_energy.report.estimates import short_names
from llm_energy.results.metrics import ITL, JOULES_PER_OUTPUT_TOKEN, THROUGHPUT, TTFT
from llm_energy.system.numbers import interval, number, plural

METRICS = (THROUGHPUT, TTFT, ITL, JOULES_PER_OUTPUT_TOKEN)
BACKEND = "backend"


def serving_layer_costs(summary: Summary) -> list[str]:
    """Return a sentence for each pair of experiments that differ in the serving layer alone."""
    versions = (
        summary.measurements.dropna(subset=["engine_version"])
        .groupby("experiment")["engine_version"]
        .first()
    )
    pairs: dict[tuple[str, str], dict[str, Comparison]] = {}
    for one in summary.findings.axis_comparisons:
        if one.factor == BACKEND:
            pairs.setdefault((one.experiment, one.base), {})[one.metric] = one
    names = short_names(summary)
    return [
        _sentence(names[experiment], names[base], words, found)
        for (experiment, base), found in pairs.items()
        if (words := _same_engine(versions.get(experiment), versions.get(base)))
    ]


def _same_engine(version: str | None, base: str | None) -> str | None:
    """Return what sets two experiments of the same engine apart; None where it is not the same.

    The version of a launched server is what it reports, and in brackets that of its environment.
    """
    if version is None or base is None:
        return None
    if version.endswith(f" ({base})"):
        return "with its serving layer"
    return "without its serving layer" if base.endswith(f" ({version})") else None


def _sentence(name: str, base: str, words: str, found: Mapping[str, Comparison]) -> str:
    parts = []
    for metric in METRICS:
        one = found.get(metric.column)
        if one is None:
            continue
        low, high = one.simultaneous_low, one.simultaneous_high
        bounds, half = " (no interval)", None
        if low is not None and high is not None:
            bounds, half = f" ({interval(low, high)})", (high - low) / 2
        title = f"{metric.title[0].lower()}{metric.title[1:]}"
        verdict = VERDICTS[one.verdict]
        parts.append(f"{number(one.ratio, half)}×{bounds} the {title}, {verdict}")
    if JOULES_PER_OUTPUT_TOKEN.column not in found:
        parts.append("no energy of both sides was measured")
    cycles = plural(max(one.pairs for one in found.values()), "pair")
    return f"The same engine {words}: {name} has, against {base}, {'; '.join(parts)} ({cycles})."
