"""Ratios between experiments: which are computed, which are marked, and which are refused."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from llm_energy.analysis.experiments_table import HOST_SENSOR, SENSOR, sensor_limits
from llm_energy.analysis.summary import Comparison, Refusal, Verdict
from llm_energy.analysis.table_columns import records_by
from llm_energy.analysis.wording import comparison_sentence
from llm_energy.campaign.contrasts import Contrast
from llm_energy.results.field_names import share_field_names
from llm_energy.results.metrics import (
    HOST_JOULES_PER_OUTPUT_TOKEN,
    ITL,
    JOULES_PER_GOOD_REQUEST,
    JOULES_PER_OUTPUT_TOKEN,
    JOULES_PER_REQUEST,
    THROUGHPUT,
    TTFT,
    Metric,
    by_arrivals,
)
from llm_energy.stats.intervals import Interval, ends
from llm_energy.stats.paired_ratios import (
    EQUIVALENCE_LEVEL,
    Ratio,
    holm,
    paired_ratio,
    simultaneous_confidence,
    unpaired_ratio,
)
from llm_energy.system.numbers import setting_text

COMPARED = (
    *(JOULES_PER_OUTPUT_TOKEN, HOST_JOULES_PER_OUTPUT_TOKEN, JOULES_PER_REQUEST),
    *(JOULES_PER_GOOD_REQUEST, THROUGHPUT, TTFT, ITL),
)

SAME_BLOCK = ("cycle", "session_id", "device_model", "limit_before_watts", "power_modes")
"""Two measurements form a pair if they share these: a limit that the campaign sets is a factor."""

SAME_TERMS = {
    "load_mode": "load modes",
    "request_rate": "request rates",
    "trace": "traces of arrivals",
}
SAME_ENERGY_TERMS = {
    "energy_scope": "scopes of energy",
    "energy_method": "sources of energy",
    "energy_simulated": "simulated and real sensors",
}
SAME_HOST_TERMS = {
    "host_scope": "scopes of energy with the host",
    "energy_simulated": "simulated and real sensors",
}
"""Columns in which both sides must agree -> their names in a refusal."""

NATURAL_LENGTH = "natural_length"
"""Flag of answers that are as long as the model wants: a request is no unit of work there."""

PER_TOKEN = (THROUGHPUT, JOULES_PER_OUTPUT_TOKEN, HOST_JOULES_PER_OUTPUT_TOKEN, ITL)

BLOCK, DEVICE = "block", "device"
"""Keys of a row for what identifies its block and its device."""

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Compared:
    """A comparison before it is adjusted for the others of its family."""

    contrast: Contrast | None
    experiment: str
    base: str
    metric: Metric
    ratio: Ratio
    marks: tuple[str, ...]
    same: str
    """The device that the sides share, such as `same GPU`; may be empty."""


def compare_all(
    measurements: pd.DataFrame,
    *,
    reference: str | None,
    contrasts: Iterable[Contrast],
    margin: float,
    first_cycles: Mapping[str, int] | None = None,
) -> tuple[list[Comparison], list[Comparison], list[Refusal]]:
    """(with the reference, along axes, refused), each in measured order.

    Args:
        margin: ratios within a factor of 1 + this of 1 count as no difference.
        first_cycles: experiment -> cycles that decided how many there are, where some did.
    """
    rows, first = _by_experiment(measurements), first_cycles or {}
    wanted: list[tuple[Contrast | None, str, str]] = []
    if reference in rows:
        wanted += [(None, name, reference) for name in rows if name != reference]
    along = (c for c in contrasts if {c.experiment, c.base} <= rows.keys())
    wanted += ((c, c.experiment, c.base) for c in along)
    found: dict[tuple[str | None, str], list[Compared]] = defaultdict(list)
    refused: dict[Refusal, None] = {}
    for contrast, experiment, base in wanted:
        for metric in COMPARED:
            outcome = _compare(rows[experiment], rows[base], metric, contrast, first)
            if isinstance(outcome, Refusal):
                refused[outcome] = None
            elif outcome is not None:
                found[contrast.factor if contrast else None, metric.column].append(outcome)
    comparisons = [each for family in found.values() for each in _adjusted(family, margin)]
    return (
        [each for each in comparisons if each.factor is None],
        [each for each in comparisons if each.factor is not None],
        list(refused),
    )


def _by_experiment(measurements: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Rows of each experiment."""
    terms = SAME_TERMS | SAME_ENERGY_TERMS | SAME_HOST_TERMS
    columns = [*SAME_BLOCK, *terms, *SENSOR, *HOST_SENSOR, *(m.column for m in COMPARED)]
    columns += ["saturated", "host", "device_uuids", "tokenizer_sha256", "prompts_sha256", "flags"]
    found = records_by(measurements, ["experiment"], columns)
    for rows in found.values():
        for row in rows:  # each is compared many times
            row[BLOCK] = tuple(row[name] for name in SAME_BLOCK)
            row[DEVICE] = tuple(row[name] for name in ("host", "device_model", "device_uuids"))
    return {name: rows for (name,), rows in found.items()}


def _compare(
    other: Rows,
    base: Rows,
    metric: Metric,
    contrast: Contrast | None,
    first_cycles: Mapping[str, int],
) -> Compared | Refusal | None:
    """None where a side has no value of the metric, or only that of its arrivals."""
    other, base = (
        [row for row in side if row[metric.column] is not None] for side in (other, base)
    )
    if not other or not base:
        return None
    names = {"experiment": other[0]["experiment"], "base": base[0]["experiment"]}
    refusal = partial(Refusal, **names, metric=metric.column)
    for column, name in _terms(metric).items():
        terms = {row[column] for row in (*other, *base)}
        if len(terms) > 1:
            ordered = sorted(terms, key=lambda term: (term is None, term))
            listed = ", ".join(map(setting_text, ordered))
            return refusal(reason=f"{name} must not be mixed: {listed}")
    if by_arrivals(metric, base[0]["load_mode"]):
        return None
    if metric == JOULES_PER_REQUEST and any(_natural(row) for row in (*other, *base)):
        return refusal(reason="answers of natural length are different work; compare per token")
    other, base = ([row for row in side if not row["saturated"]] for side in (other, base))
    if not other or not base:
        return refusal(reason="a saturated measurement is compared with nothing")
    if min(row[metric.column] for row in (*other, *base)) <= 0:
        return refusal(reason="a value that is not positive has no ratio")
    values = [{row[BLOCK]: float(row[metric.column]) for row in side} for side in (base, other)]
    pilot = _pilot((*base, *other), first_cycles)
    ratio = paired_ratio(*values, pilot=pilot)
    shared = values[0].keys() & values[1].keys()
    if ratio is None:
        ratio = unpaired_ratio(*values, pilot=pilot)
        assert ratio is not None  # both sides have values
    else:
        base, other = ([row for row in side if row[BLOCK] in shared] for side in (base, other))
    marks = _marks(other, base, metric, paired=bool(shared))
    if "other_device" in marks and metric.sensor:
        limits = (sensor_limits(metric, side) or () for side in (base, other))
        ratio = ratio.with_limits([limit for each in limits for limit in each])
    same = "" if "other_device" in marks else _same_device(base, paired=bool(shared))
    return Compared(contrast, **names, metric=metric, ratio=ratio, marks=marks, same=same)


def _terms(metric: Metric) -> dict[str, str]:
    of_energy = SAME_HOST_TERMS if metric.of_host else SAME_ENERGY_TERMS
    return SAME_TERMS | (of_energy if metric.kind == "energy" else {})


def _natural(row: Mapping[str, Any]) -> bool:
    return NATURAL_LENGTH in str(row["flags"] or "").split(";")


def _marks(other: Rows, base: Rows, metric: Metric, *, paired: bool) -> tuple[str, ...]:
    def differ(column: str) -> bool:
        return {row[column] for row in other} != {row[column] for row in base}

    apart = not paired and not (
        {row["session_id"] for row in other} & {row["session_id"] for row in base}
    )
    checks = {
        "unpaired": not paired,
        "other_session": apart,
        "other_device": differ(DEVICE),
        "other_power_limit": differ("limit_before_watts"),
        "other_power_mode": differ("power_modes"),
        "other_tokenizer": metric in PER_TOKEN
        and differ("tokenizer_sha256")
        and differ("prompts_sha256"),
    }
    return tuple(code for code, holds in checks.items() if holds)


def _pilot(rows: Rows, first_cycles: Mapping[str, int]) -> set[tuple[Any, ...]] | None:
    """Blocks that decided how many there are; None where the number was given on both sides."""
    limits = [first_cycles[name] for row in rows if (name := row["experiment"]) in first_cycles]
    return {row[BLOCK] for row in rows if row["cycle"] <= min(limits)} if limits else None


def _same_device(rows: Rows, *, paired: bool) -> str:
    """Name the device that the sides share; over several nodes, the one of each pair."""
    places = {(row["host"], row["device_uuids"]) for row in rows}
    uuids = {devices for _, devices in places}
    if len(places) > 1 and not paired:
        return ""
    each = " in each pair" if len(places) > 1 else ""
    if uuids == {""}:
        return f"same machine{each}"
    return f"same GPUs{each}" if any(";" in devices for devices in uuids) else f"same GPU{each}"


def _adjusted(family: Sequence[Compared], margin: float) -> list[Comparison]:
    """The comparisons of one family, adjusted for each other."""
    testable = [each for each in family if each.ratio.p_value is not None]
    adjusted, equivalent = (
        dict(zip(map(id, testable), holm([p or 0.0 for p in p_values]), strict=True))
        for p_values in (
            [each.ratio.p_value for each in testable],
            [each.ratio.equivalence_p_value(margin) for each in testable],
        )
    )
    confidence = simultaneous_confidence(len(testable))
    made = []
    for each in family:
        single, joint = each.ratio.interval(), each.ratio.interval(confidence)
        verdict = _verdict(joint, equivalent.get(id(each)))
        contrast = each.contrast
        made.append(
            Comparison(
                experiment=each.experiment,
                base=each.base,
                metric=each.metric.column,
                factor=contrast.factor if contrast else None,
                level=contrast.level if contrast else None,
                base_level=contrast.base_level if contrast else None,
                pairs=each.ratio.pairs,
                ratio=each.ratio.ratio,
                **ends(single),
                **ends(joint, "simultaneous_{}"),
                p_value=each.ratio.p_value,
                p_value_holm=adjusted.get(id(each)),
                equivalence_p_value_holm=equivalent.get(id(each)),
                family=len(testable),
                verdict=verdict,
                marks=list(each.marks),
                sentence=comparison_sentence(
                    each.metric,
                    each.ratio.ratio,
                    joint,
                    pairs=each.ratio.pairs,
                    family=len(testable),
                    same=each.same,
                    marks=each.marks,
                    equivalence_margin=margin if verdict == "equivalent" else None,
                ),
            )
        )
        share_field_names(made[-1])
    return made


def _verdict(joint: Interval | None, equivalence_p_value: float | None) -> Verdict:
    if joint is None or equivalence_p_value is None:
        return "not_testable"
    if equivalence_p_value <= EQUIVALENCE_LEVEL:
        return "equivalent"
    return "inconclusive" if joint.low <= 1 <= joint.high else "different"
