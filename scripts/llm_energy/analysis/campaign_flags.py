"""Flags that only all results of a campaign together can raise."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from statistics import fmean

from llm_energy.analysis.actual_order import places
from llm_energy.analysis.counter_ratios import DeviceRatios
from llm_energy.analysis.courses_over_time import BOUND_SINCE
from llm_energy.analysis.experiments_table import group_of
from llm_energy.analysis.outputs import REPEATED_LIMIT, output_repetition
from llm_energy.analysis.token_ids import with_other_token_ids
from llm_energy.results.metrics import WATCHED, watched_value
from llm_energy.results.parts import Flag, PowerSteadiness, Warmup
from llm_energy.results.result import Result
from llm_energy.stats.outliers import outlier
from llm_energy.system.numbers import plural
from worker.steady import DRIFT_SEEN, NO_DRIFT_SEEN, UNDECIDED

Raised = Iterator[tuple[Result, str, str]]
"""Result, code of its flag, and message."""


UNSET = "not set"

CHOICE_OF_DEVICES = ("VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL")
"""Ends of variables that choose GPUs, which results name by their UUIDs: Slurm sets others in each
allocation."""

UNSEEN = {NO_DRIFT_SEEN, UNDECIDED}
"""Verdicts of short warm-ups in which no drift was seen: the report says once what they show."""


def with_campaign_flags(
    results: Sequence[Result], devices: Iterable[DeviceRatios], *, margin: float
) -> list[Result]:
    """The results with the flags of the campaign behind their own; result files stay as they are.

    Args:
        devices: energy counter against power of each device, over these very `results`.
        margin: relative bias of a window that the campaign tolerates.
    """
    raised = chain(
        _ratio_deviates(devices),
        _not_steady(results, margin),
        _out_of_order(results),
        _outlier(results),
        _suspect(results),
        _other_token_ids(results),
        _other_variables(results),
        _other_gpu_count(results),
    )
    found: dict[int, list[Flag]] = defaultdict(list)
    for result, code, message in raised:
        found[id(result)].append(Flag(code=code, message=message))
    return [
        result.model_copy(update={"flags": [*result.flags, *found[id(result)]]})
        if id(result) in found
        else result
        for result in results
    ]


def _ratio_deviates(devices: Iterable[DeviceRatios]) -> Raised:
    for device in devices:
        for result, change in device.deviating:
            message = f"{device.device}: {change:+.1%} from the device's median"
            yield result, "ratio_deviates", message


def _not_steady(results: Sequence[Result], margin: float) -> Raised:
    for result in results:
        warmup = result.warmup
        if warmup is None or result.protocol_version < BOUND_SINCE:
            continue
        judged: dict[str, Warmup | PowerSteadiness] = {"throughput": warmup}
        if warmup.power is not None and result.energy.energy_joules is not None:
            judged["power"] = warmup.power
        texts = [
            f"{name}: {_bias(part)}"
            for name, part in judged.items()
            if part.verdict not in UNSEEN and (part.bound is None or part.bound > margin)
        ]
        if texts:
            yield result, "not_steady", f"{'; '.join(texts)} (margin {margin:.1%})"


def _bias(judged: Warmup | PowerSteadiness) -> str:
    if judged.bound is None:
        return "too few waves to bound its bias"
    seen = "drift seen, " if judged.verdict == DRIFT_SEEN else ""
    return f"{seen}bias up to {judged.bound:.1%}"


def _out_of_order(results: Sequence[Result]) -> Raised:
    for result, place in zip(results, places(results), strict=True):
        if place.planned != place.actual:
            message = f"at place {place.actual} of its run, planned was {place.planned}"
            yield result, "out_of_order", message


def _outlier(results: Sequence[Result]) -> Raised:
    groups: dict[tuple[object, ...], list[Result]] = defaultdict(list)
    for result in results:
        groups[group_of(result)].append(result)
    for group in groups.values():
        for metric in WATCHED:
            if metric.kind == "latency":
                continue  # in each cycle other requests arrive together
            known = [(r, value) for r in group if (value := watched_value(r, metric)) is not None]
            values = [value for _, value in known]
            if (index := outlier(values)) is not None:
                others = fmean(values[:index] + values[index + 1 :])
                message = f"{metric.title}: {values[index] / others - 1.0:+.1%} from the others"
                yield known[index][0], "outlier", message


def _suspect(results: Sequence[Result]) -> Raised:
    for result in results:
        share = output_repetition(result)
        if share is not None and share > REPEATED_LIMIT:
            message = f"{share:.0%} of 4-grams repeated (limit {REPEATED_LIMIT:.0%})"
            yield result, "output_suspect", message


def _other_token_ids(results: Sequence[Result]) -> Raised:
    for result, first in with_other_token_ids(results):
        message = f"sha256 {result.prompts.sha256[:12]}, that of cycle {first.cycle} is "
        yield result, "other_token_ids", message + first.prompts.sha256[:12]


def _other_variables(results: Sequence[Result]) -> Raised:
    known = [result for result in results if result.environment.variables is not None]
    if not known:
        return
    first = min(known, key=lambda result: result.started)
    usual = first.environment.variables or {}
    for result in known:
        own = result.environment.variables or {}
        differing = (name for name in own | usual if own.get(name) != usual.get(name))
        names = sorted(name for name in differing if not name.endswith(CHOICE_OF_DEVICES))
        if names:
            differ = "; ".join(
                f"{name} is {own.get(name, UNSET)}, there {usual.get(name, UNSET)}"
                for name in names
            )
            yield result, "other_variables", f"{differ} ({first.experiment} cycle {first.cycle})"


def _other_gpu_count(results: Sequence[Result]) -> Raised:
    first: dict[str, Result] = {}
    for result in sorted(results, key=lambda r: r.started):
        if not (count := len(result.environment.device_uuids)):
            continue  # on a CPU, or on GPUs that nobody could read
        earliest = first.setdefault(result.spec_hash, result)
        if (before := len(earliest.environment.device_uuids)) != count:
            message = f"{plural(count, 'GPU')}, cycle {earliest.cycle} on {before}"
            yield result, "other_gpu_count", message
