"""The verdict at the head of the page: the best by the lead metric, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from llm_energy.analysis.comparisons import compare_all
from llm_energy.analysis.summary import Comparison, Summary
from llm_energy.analysis.tradeoffs import PLACE
from llm_energy.analysis.wording import DIFFERENT
from llm_energy.report.comparison_section import VERDICTS
from llm_energy.report.control_section import VERDICTS as CONTROL_VERDICTS
from llm_energy.report.control_section import control_name
from llm_energy.report.estimates import Estimate, estimates, ranked, short_names
from llm_energy.report.headline import certainty
from llm_energy.report.host_headline import place, with_host
from llm_energy.results.metrics import JOULES_PER_OUTPUT_TOKEN, THROUGHPUT, TTFT, Metric
from llm_energy.system.numbers import interval, number, percent, plural
from llm_energy.system.vocabulary import OPEN

LEADS = {
    JOULES_PER_OUTPUT_TOKEN: ("uses least energy per output token", "less energy"),
    THROUGHPUT: ("is fastest", "more throughput"),
    TTFT: ("has the shortest time to first token", "less time to first token"),
}
"""Metric that may lead, in order -> predicate of its best experiment, noun of its advantage."""

BEST_WITHIN = {JOULES_PER_OUTPUT_TOKEN: "least energy per output token", THROUGHPUT: "fastest"}
"""Metric that may lead -> its best experiment, in an answer of the page."""

PAIRED = (
    "Paired by cycle, geometric means, 95 % interval not adjusted for other comparisons; fewer "
    "than three pairs give none."
)


@dataclass(frozen=True)
class Fact:
    title: str
    value: str
    detail: str = ""


@dataclass(frozen=True)
class Verdict:
    """The best of the experiments that are ranked with each other."""

    metric: Metric
    sentence: str
    facts: Sequence[Fact]


def lead_metric(summary: Summary) -> Metric:
    """Energy per output token where it was measured, else throughput; of load mode `open`, where
    arrivals decide it, time to first token."""
    if estimates(summary, JOULES_PER_OUTPUT_TOKEN):
        return JOULES_PER_OUTPUT_TOKEN
    is_open = set(summary.measurements["load_mode"].dropna()) == {OPEN}
    return TTFT if is_open and estimates(summary, TTFT) else THROUGHPUT


def verdicts(summary: Summary) -> list[Verdict]:
    """One for each set of terms in which two or more experiments have the lead metric."""
    found = ranked(summary, lead_metric(summary))
    groups = [list(group) for _, group in groupby(found, key=lambda e: e.terms)]
    several = len(groups) > 1
    return [_verdict(summary, rivals, several=several) for rivals in groups if len(rivals) > 1]


def unranked_notice(summary: Summary) -> str | None:
    """Return why there is no verdict although there are values; None with a verdict, or without
    any value."""
    metric = lead_metric(summary)
    measured, found = estimates(summary, metric), ranked(summary, metric)
    if not measured or any(one.terms == other.terms for one, other in pairwise(found)):
        return None
    if len({one.experiment for one in measured}) == 1:
        return "Only one configuration has been measured, so there is nothing to compare it with."
    of_energy = ", scope of energy" * (metric.kind == "energy")
    saturated = ", or their queue grew" * any(one.saturated for one in measured)
    return (
        "No two configurations are ranked: they were measured under different terms (load mode, "
        f"rate{of_energy}){saturated}."
    )


def _verdict(summary: Summary, rivals: Sequence[Estimate], *, several: bool) -> Verdict:
    best, second = rivals[:2]
    metric = best.metric
    ahead = _compared(summary, best, second)
    predicate = LEADS[metric][0] + (f" ({best.terms})" if several else "")
    of_reference = second.experiment == summary.findings.design.reference
    role = "runner-up" + " and reference" * of_reference
    doubt = _doubt(summary, ahead, second.label, metric)
    return Verdict(
        metric,
        f"{best.label} {predicate}{doubt}.",
        [
            *_against_reference(summary, rivals),
            _advantage(f"Against the {role}, {second.label}", ahead, metric),
            Fact(
                metric.title,
                f"{number(best.mean, best.half_width)} {metric.display_unit}",
                certainty(best),
            ),
            *_with_host(summary, rivals),
            _controls(summary),
            _flagged(summary),
        ],
    )


def _doubt(summary: Summary, ahead: Comparison | None, second: str, metric: Metric) -> str:
    """The end of the sentence; empty where the best is distinguished from the runner-up."""
    if ahead is None:
        return f" in the means; it is not compared with {second}"
    if ahead.verdict == "equivalent":
        margin = percent(summary.findings.design.equivalence_margin, 0)
        return f" in the means; it is equivalent to {second} within ±{margin}"
    if ahead.verdict != "different":
        return f" in the means; the difference from {second} is {VERDICTS[ahead.verdict]}"
    if (ahead.ratio > 1) != metric.higher_is_better:
        return f" in the means, but paired by cycle {second} is better"
    return ""


def _against_reference(summary: Summary, rivals: Sequence[Estimate]) -> list[Fact]:
    """The advantage over the reference; empty where there is none, or it is the runner-up."""
    reference = summary.findings.design.reference
    best, second = rivals[:2]
    if reference is None or reference == second.experiment:
        return []
    label = short_names(summary).get(reference, reference)
    if reference == best.experiment:
        return [Fact("Against the reference", "–", f"{label} is the reference itself")]
    base = next((e for e in rivals if e.experiment == reference), None)
    compared = None if base is None else _compared(summary, best, base)
    return [_advantage(f"Against the reference, {label}", compared, best.metric)]


def _with_host(summary: Summary, rivals: Sequence[Estimate]) -> list[Fact]:
    """The energy of the best with the host, and its place then; empty where it is not known."""
    best, host = rivals[0], with_host(summary, rivals)
    known = host.get(best.label)
    if best.metric != JOULES_PER_OUTPUT_TOKEN or known is None:
        return []
    value = f"{number(known.mean, known.half_width)} {known.metric.display_unit}"
    return [
        Fact(
            f"With the host ({known.scope})",
            value,
            f"{place(best.label, host)}, {certainty(known)}",
        )
    ]


def _compared(summary: Summary, best: Estimate, base: Estimate) -> Comparison | None:
    """The ratio of two groups; None where they are one experiment, or must not be compared."""
    if best.experiment == base.experiment:
        return None
    table, design = summary.measurements, summary.findings.design
    sides = [(e.experiment, e.device_model, e.power_limit_watts) for e in (best, base)]
    keys = zip(
        *(table[name].astype(object).where(table[name].notna(), None) for name in PLACE),
        strict=True,
    )
    rows = table[[key in sides for key in keys]]
    first = {e.experiment: design.adaptive.first for e in (best, base)} if design.adaptive else {}
    found, _, _ = compare_all(
        rows,
        reference=base.experiment,
        contrasts=(),
        margin=design.equivalence_margin,
        first_cycles=first,
    )
    return next((one for one in found if one.metric == best.metric.column), None)


def _advantage(title: str, compared: Comparison | None, metric: Metric) -> Fact:
    """`66.9 % less energy`, with its interval; negative where the best is worse in the pairs."""
    if compared is None:
        return Fact(
            title, "–", "not compared: one experiment in two places, or other terms of measuring"
        )
    sign = 1 if metric.higher_is_better else -1
    gain = 100 * sign * (compared.ratio - 1)
    parts = [plural(compared.pairs, "pair") if compared.pairs else "no pairs"]
    parts += [DIFFERENT[mark] for mark in compared.marks if mark in DIFFERENT]
    half_width = None
    if compared.low is None or compared.high is None:
        parts.insert(0, "no interval")
    else:
        ends = sorted(100 * sign * (end - 1) for end in (compared.low, compared.high))
        half_width = (ends[1] - ends[0]) / 2
        parts.insert(0, f"95 % interval {interval(*ends)} %")
    if compared.verdict != "different":
        parts.append(VERDICTS[compared.verdict])
    value = f"{number(gain, half_width)}\N{NO-BREAK SPACE}% {LEADS[metric][1]}"
    return Fact(title, value, ", ".join(parts))


def _controls(summary: Summary) -> Fact:
    controls = summary.findings.controls
    if not controls:
        return Fact("Controls", "none", "the campaign tested nothing whose outcome is known")
    open_ones = [one for one in controls if one.verdict != "pass"]
    names = [f"{control_name(one)}: {CONTROL_VERDICTS[one.verdict]}" for one in open_ones]
    value = f"{len(controls) - len(open_ones)} of {len(controls)} passed"
    return Fact("Controls", value, "; ".join(names))


def _flagged(summary: Summary) -> Fact:
    flags = summary.measurements["flags"]
    count, whole = int((flags.fillna("") != "").sum()), len(flags)
    codes = ", ".join(flag.code for flag in summary.findings.flags)
    return Fact("Flagged measurements", f"{count} of {whole} ({percent(count / whole, 0)})", codes)
