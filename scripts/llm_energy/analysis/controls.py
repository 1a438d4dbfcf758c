"""Verdicts on the controls of a campaign (see docs/statistics.md): pure functions of its results.

A control is paired with its base by cycle within a session, like any two experiments, and its
ratio has a known answer. An A/A control fails by the least difference that its 99 % interval shows,
because the truth is exactly 1 and every other comparison rests on such intervals. The effect of the
other two must only be small: reading a sensor costs something, and the gate of idle power lets it
change by 2 % (`power/gates.py`).

The idle control needs no measurement of its own: the second half of the idle phase stands for the
window, its first half is the baseline, and both are taken with the estimator of every baseline from
the very measurements whose energy above idle is in question.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Literal

from llm_energy.analysis.control_pairs import (
    Block,
    Values,
    block_of,
    energies,
    energy_block_of,
    idle_halves,
    saturated_pairs,
    speeds,
)
from llm_energy.analysis.neighbours import on_full_host
from llm_energy.campaign.control_experiments import MEASURED, Control
from llm_energy.campaign.experiment import ControlKind
from llm_energy.power.series import Series
from llm_energy.results.metrics import JOULES_PER_OUTPUT_TOKEN, watched_speed
from llm_energy.results.parts import Model
from llm_energy.results.result import Result
from llm_energy.stats.cycles_needed import cycles_for
from llm_energy.stats.intervals import ends
from llm_energy.stats.paired_ratios import MINIMUM_PAIRS, Ratio, paired_ratio
from llm_energy.system.numbers import percent, plural

ControlVerdict = Literal["pass", "inconclusive", "undecided", "fail", "not_testable"]

MARGIN = 0.02
"""Distance from 1 within which the 95 % interval of a ratio must lie."""

LEAST_DISTANCE = 1e-3
"""Distance of a ratio from the margin under which more pairs are not counted."""

FAULT_CONFIDENCE = 0.99
"""Confidence of the interval that must hold 1: one sound A/A control in 100 fails by chance."""


class ControlFinding(Model):
    """The ratio of a control to its base in one metric, with its verdict."""

    kind: ControlKind
    experiment: str
    base: str
    metric: str
    pairs: int
    """Blocks (cycle, session) with both sides."""
    ratio: float | None
    low: float | None
    """95 % interval, not adjusted; None under three pairs."""
    high: float | None
    low_99: float | None
    """99 % interval."""
    high_99: float | None
    verdict: ControlVerdict
    reason: str
    """Meaning of the verdict, or why there is none."""
    flags: list[str]
    """Codes of the flags of the control's own measurements."""


LIMIT = percent(MARGIN, 0)

IDLE_POWER = "loaded_idle_power_watts"

REASONS: Mapping[tuple[ControlKind, ControlVerdict], str] = {
    ("a_a", "pass"): f"Equal settings gave equal results, within ±{LIMIT}.",
    ("a_a", "inconclusive"): f"Neither shown to be equal within ±{LIMIT} nor different. More "
    "cycles would decide.",
    ("a_a", "fail"): "Equal settings gave different results: something besides the settings "
    "differs between measurements. Believe no difference between experiments that is this small.",
    ("idle", "pass"): f"With no request to the engine, energy above idle was 0 within ±{LIMIT} "
    "of idle power.",
    ("idle", "inconclusive"): f"Not known to within ±{LIMIT} of idle power. "
    "More cycles would decide, or a longer baseline_s.",
    ("idle", "fail"): "Idle power changes without any request, so that energies above idle are "
    "off by as much. Look for other work on the device.",
    ("sampler_off", "pass"): f"Reading power changed speed by less than {LIMIT}.",
    ("sampler_off", "inconclusive"): f"What reading power costs is not known to within ±{LIMIT}. "
    "More cycles would decide.",
    ("sampler_off", "fail"): "Reading power changes speed. Lower sampling_hz.",
    ("neighbours", "pass"): f"Measured alone and beside the other sets: equal within ±{LIMIT}.",
    ("neighbours", "fail"): "Other sets at work change a measurement: what was measured beside "
    "them is not what one GPU does alone. Look for what they share: CPU, memory, power, cooling.",
}
"""Verdict on a kind of control -> its meaning."""

SATURATED_PAIRS = "saturated, so that latencies depend on how long the window was"


def verdict(ratio: Ratio | None, *, exact: bool) -> ControlVerdict:
    """Return the verdict on the ratio of a control.

    Args:
        exact: the truth is 1, so that any difference is a fault, however small.
    """
    interval = ratio and ratio.interval()
    outer = ratio and ratio.interval(FAULT_CONFIDENCE)
    if not interval or not outer:
        return "not_testable"
    differs = not outer.low <= 1.0 <= outer.high
    small = abs(interval.low - 1.0) <= MARGIN and abs(interval.high - 1.0) <= MARGIN
    if differs and (exact or not small):
        return "fail"
    return "pass" if small else "inconclusive"


def control_findings(
    controls: Iterable[Control],
    results: Sequence[Result],
    series_of: Callable[[Result], Series | None],
    *,
    first_cycles: int | None = None,
) -> list[ControlFinding]:
    """The findings of the controls of a campaign, in declared order.

    Args:
        results: all of the campaign, those of controls included.
        series_of: the power series of a result; None where it has none or it cannot be used.
        first_cycles: as in `experiments_table`.
    """
    return [
        finding
        for control in controls
        for finding in _findings(
            control,
            [r for r in results if r.experiment == control.base],
            [r for r in results if r.experiment == control.experiment],
            series_of,
            first_cycles,
            beside=partial(on_full_host, results=results),
        )
    ]


def without_controls(results: Iterable[Result], controls: Iterable[Control]) -> list[Result]:
    """The results but those that were measured for a control alone."""
    own = {control.experiment for control in controls if control.kind in MEASURED}
    return [result for result in results if result.experiment not in own]


def _findings(
    control: Control,
    base: Sequence[Result],
    other: Sequence[Result],
    series_of: Callable[[Result], Series | None],
    first_cycles: int | None,
    *,
    beside: Callable[[Result], bool],
) -> Iterator[ControlFinding]:
    if control.kind == "neighbours":
        base = [result for result in base if beside(result)]
    finding = partial(
        _finding,
        control,
        codes=sorted({flag.code for r in other for flag in r.flags}),
        pilot=None
        if first_cycles is None
        else {
            b for r in base for b in (block_of(r), energy_block_of(r)) if r.cycle <= first_cycles
        },
    )
    apart = "not measured in the same cycle of a session"
    if control.kind == "neighbours":
        apart += ", or with too few other sets at work beside the reference"
    speed = watched_speed(result.load_mode for result in (*base, *other))
    if control.kind == "idle":
        halves = {block_of(r): both for r in base if (both := idle_halves(r, series_of(r)))}
        first, second = ({b: both[half] for b, both in halves.items()} for half in (0, 1))
        yield finding(IDLE_POWER, first, second, lacks="no idle power was measured")
    elif control.kind == "sampler_off" and not any("series" in r.side_files for r in base):
        lacks = "there is no power sensor, so nothing is read in other measurements either"
        yield finding(speed.column, {}, {}, lacks=lacks)
    else:
        grown, unlike = saturated_pairs(base, other)
        found = finding(
            speed.column,
            speeds(base, speed),
            speeds(other, speed),
            lacks=SATURATED_PAIRS if grown else apart,
        )
        yield _with_unlike(found, unlike)
    if control.kind in ("a_a", "neighbours") and (known := energies(base)):
        yield finding(JOULES_PER_OUTPUT_TOKEN.column, known, energies(other), lacks=apart)


def _finding(
    control: Control,
    metric: str,
    base: Values,
    other: Values,
    *,
    lacks: str,
    codes: Sequence[str],
    pilot: Collection[Block] | None,
) -> ControlFinding:
    """The finding by one metric; `lacks` is the reason where there is no pair."""
    ratio = paired_ratio(base, other, pilot=pilot)
    found = verdict(ratio, exact=control.kind == "a_a")
    reason = REASONS.get((control.kind, found))
    if control.kind == "neighbours" and ratio and found in ("inconclusive", "not_testable"):
        found = "undecided"
        reason = f"Neither shown to be equal within ±{LIMIT} nor different. {_pairs_needed(ratio)}"
        if unpaired := len(other) - ratio.pairs:
            reason += f" {plural(unpaired, 'cycle')} formed no pair: {lacks}."
    if reason is None:
        why = f"under {MINIMUM_PAIRS} cycles" if ratio else lacks
        reason = f"Not testable: {why}."
    return ControlFinding(
        kind=control.kind,
        experiment=control.experiment,
        base=control.base,
        metric=metric,
        pairs=ratio.pairs if ratio else 0,
        ratio=ratio.ratio if ratio else None,
        **ends(ratio.interval() if ratio else None),
        **ends(ratio.interval(FAULT_CONFIDENCE) if ratio else None, "{}_99"),
        verdict=found,
        reason=reason,
        flags=list(codes),
    )


def _pairs_needed(ratio: Ratio) -> str:
    """Describe how many pairs would decide whether a ratio lies within the margin."""
    if ratio.standard_error is None:
        return f"It takes {MINIMUM_PAIRS} pairs or more."
    distance = abs(math.log1p(MARGIN) - abs(ratio.logarithm))
    spread = ratio.standard_error * math.sqrt(ratio.pairs)
    needed = cycles_for(spread, max(distance, LEAST_DISTANCE))
    return f"It takes about {max(needed, ratio.pairs + 1)} pairs, by the spread of these."


def _with_unlike(found: ControlFinding, unlike: int) -> ControlFinding:
    """Return a finding that passes only if no queue grew on one side alone.

    Such a cycle has no ratio of latencies, although it may show the greatest difference. It is no
    fault by itself: near its capacity an engine keeps up or does not by chance.
    """
    if not unlike or found.verdict == "fail":
        return found
    verdict = "undecided" if found.kind == "neighbours" else "inconclusive"
    reason = (
        f"In {plural(unlike, 'cycle')} the queue grew on one side alone (saturated), which no "
        f"ratio of latencies shows. Lower the request rate of {found.base}."
    )
    return found.model_copy(update={"verdict": verdict, "reason": reason})
