"""The answer first: the best experiment by each headline metric, with its certainty."""

from dataclasses import dataclass
from itertools import groupby

from llm_energy.analysis.summary import Comparison, Summary
from llm_energy.analysis.wording import DIFFERENT
from llm_energy.report.estimates import Estimate, ranked, short_names
from llm_energy.report.host_headline import ranking_notices
from llm_energy.results.metrics import (
    GOODPUT,
    HOST_JOULES_PER_OUTPUT_TOKEN,
    ITL,
    JOULES_PER_GOOD_REQUEST,
    JOULES_PER_OUTPUT_TOKEN,
    METRICS,
    THROUGHPUT,
    TTFT,
    Metric,
)
from llm_energy.system.numbers import fixed, interval, number, percent, plural
from llm_energy.system.vocabulary import OPEN

BEST = {
    JOULES_PER_GOOD_REQUEST: "Least energy per good request",
    JOULES_PER_OUTPUT_TOKEN: "Least energy per output token",
    HOST_JOULES_PER_OUTPUT_TOKEN: "Least energy per output token with the host",
    GOODPUT: "Highest goodput",
    THROUGHPUT: "Highest throughput",
    TTFT: "Shortest time to first token",
    ITL: "Shortest inter-token latency",
}
"""Headline metrics in order, each with the title of its best experiment. Measured energy leads."""

MOST_TERMS = 2
"""With more of them, as with many rates of arrivals, what stands alone is no key figure."""

READ_BY_SENSOR = {metric.column for metric in METRICS if metric.sensor}
"""Metrics that the error of a power sensor is part of."""


@dataclass(frozen=True)
class KeyFigure:
    metric: Metric
    title: str
    value: str
    unit: str
    certainty: str
    """Interval and n."""
    experiment: str
    label: str
    """Short name of the experiment."""
    remark: str
    """Against the runner-up or the reference; may be empty."""


def key_figures(summary: Summary) -> list[KeyFigure]:
    """One for each headline metric that was measured; experiments of other terms stay apart."""
    found = []
    for metric, title in BEST.items():
        best_first = ranked(summary, metric)
        terms = {e.terms for e in best_first}
        for term, group in groupby(best_first, key=lambda e: e.terms):
            rivals = list(group)
            if len(rivals) == 1 and len(terms) > MOST_TERMS:
                continue  # the table of results has them
            name = title if len(rivals) > 1 else metric.title
            shown = term if len(terms) > 1 else rivals[0].scope if metric.of_host else ""
            found.append(_key_figure(summary, rivals, f"{name} ({shown})" if shown else name))
    return found


def _key_figure(summary: Summary, rivals: list[Estimate], title: str) -> KeyFigure:
    best = rivals[0]
    return KeyFigure(
        metric=best.metric,
        title=title,
        value=number(best.mean, best.half_width),
        unit=best.metric.display_unit,
        certainty=certainty(best),
        experiment=best.experiment,
        label=best.label,
        remark="; ".join(filter(None, (_runner_up(rivals), _ratio(summary, best)))),
    )


def certainty(estimate: Estimate) -> str:
    """`95 % interval 62.8 to 65.8, n = 3`; with both intervals where a power sensor was read."""
    n = f"n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{estimate.n}"
    texts = estimate.interval_texts
    name = "95 % intervals:" if len(texts) > 1 else "95 % interval"
    return ", ".join([f"{name} {texts[0]}", *texts[1:], n]) if texts else f"{n}, no interval"


def ratio_text(comparison: Comparison) -> tuple[str, str]:
    """(`2.52`, `2.47 to 2.57, 3 pairs`); sides that were measured apart say so.

    Ratios of energies name what their interval holds: `repeatability 2.47 to 2.57, 3 pairs`.
    """
    pairs = plural(comparison.pairs, "pair") if comparison.pairs else "no pairs"
    pairs = ", ".join([pairs, *(DIFFERENT[m] for m in comparison.marks if m in DIFFERENT)])
    if comparison.low is None or comparison.high is None:
        return number(comparison.ratio), f"{pairs}, no interval"
    ends = interval(comparison.low, comparison.high)
    if comparison.metric in READ_BY_SENSOR:
        held = "with both sensors" if "other_device" in comparison.marks else "repeatability"
        ends = f"{held} {ends}"
    return number(comparison.ratio, (comparison.high - comparison.low) / 2), f"{ends}, {pairs}"


def notices(summary: Summary) -> list[str]:
    """Limits of all numbers of a campaign, beside `energy_notice`."""
    found = (token_notice(summary), warmup_notice(summary))
    return [*filter(None, found), *dependence_notices(summary)]


def energy_notice(summary: Summary) -> str | None:
    """A warning about simulated or missing energies, which a reader must know before any number;
    None if neither is the case."""
    measured = summary.measurements[summary.measurements["status"] == "completed"]
    if measured["energy_joules"].notna().any():
        if measured["energy_simulated"].any():
            return (
                "Energies come from a simulated sensor. They exercise the workflow, say nothing "
                "about any device and must never be quoted."
            )
        return None
    if measured.empty:
        return None
    why = [use.meaning or f"Reason code: {use.code}." for use in summary.findings.energy_reasons]
    return " ".join(["No energy was measured; speed and latency lead.", *why])


def token_notice(summary: Summary) -> str | None:
    """A warning where experiments count different tokens; else None."""
    if not any(front.mixed_tokenizers for front in summary.findings.fronts):
        return None
    return (
        "The models split text into different tokens: a token is not the same work for each. "
        "Numbers per token rank those of one tokenizer alone."
    )


def warmup_notice(summary: Summary) -> str | None:
    """Return what short warm-ups cannot show, once for the whole campaign; None without any."""
    short = summary.findings.short_warmups
    if short is None:
        return None
    counts = {
        "none": short.no_drift_seen,
        "some": short.drift_seen,
        "too much scatter to tell": short.undecided,
    }
    found = [f"{words} in {count}" for words, count in counts.items() if count]
    found[0] += f" of {short.measurements}"
    if short.largest_bound is not None:
        found[0] += f" (within {percent(short.largest_bound)})"
    served = bool((summary.measurements["load_mode"] == OPEN).any())
    begin = f"A warm-up of less than {short.limit_s:g} s" + " or under random arrivals" * served
    return (
        f"{begin} cannot show that a measurement is steady, only whether a drift of throughput "
        f"was seen: {', '.join(found)}; slower drifts stay hidden."
    )


def dependence_notices(summary: Summary) -> list[str]:
    """Return a warning for each metric whose cycles visibly depend on the ones before."""
    titles = {metric.column: metric.title for metric in METRICS}
    return [
        f"{titles[one.metric]}: cycles depend on the ones before them (lag-1 autocorrelation "
        f"{fixed(one.coefficient, 2)}, p = {number(one.p_value)}, {one.cycles} cycles). Intervals "
        "of its means are too narrow; ratios within blocks are affected only as far as the "
        "experiments of a block do not share the course."
        for one in summary.findings.cycle_dependence
    ]


_PLAIN = str.maketrans(
    {"\N{NO-BREAK SPACE}": " ", "\N{NARROW NO-BREAK SPACE}": " ", "\N{MINUS SIGN}": "-"}
)
"""Terminals and logs get plain signs."""


def console(summary: Summary) -> str:
    """A few lines for the terminal at the end of a run."""
    findings = summary.findings
    done = findings.completed + findings.out_of_memory
    lines = [f"{findings.design.name}: {done} of {findings.planned} measurements"]
    lines[0] += (
        f", {findings.out_of_memory} of them out of memory" if findings.out_of_memory else ""
    )
    lines += [f"  {notice}" for notice in ranking_notices(summary)]
    width = max((len(figure.title) for figure in key_figures(summary)), default=0)
    lines += [
        f"  {f.title:{width}}  {f.value} {f.unit}  {f.experiment}  ({f.certainty})"
        for f in key_figures(summary)
    ]
    lines += [f"  {search.sentence}" for search in findings.highest_good]
    lines += [f"  {one}" for one in (energy_notice(summary), *notices(summary)) if one]
    return "\n".join(lines).translate(_PLAIN) + "\n"


def _runner_up(ranked: list[Estimate]) -> str:
    if len(ranked) < 2 or not ranked[0].overlaps(ranked[1]):
        return ""
    known = ranked[0].low is not None and ranked[1].low is not None
    why = "their intervals overlap" if known else "no intervals with one cycle"
    if known and ranked[0].metric.sensor:
        apart = ranked[0].device_model != ranked[1].device_model
        why = f"their {'total' if apart else 'repeatability'} intervals overlap"
    return f"not distinguishable from {ranked[1].label}: {why}"


def _ratio(summary: Summary, best: Estimate) -> str:
    reference = summary.findings.design.reference
    for comparison in summary.findings.comparisons:
        if (comparison.experiment, comparison.metric) == (best.experiment, best.metric.column):
            assert reference is not None
            value, certainty = ratio_text(comparison)
            return f"{value} times {short_names(summary)[reference]} ({certainty})"
    return ""
