"""Flags that only all results of a campaign together can raise."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import fmean

from llm_energy.analysis.actual_order import places
from llm_energy.analysis.counter_ratios import DeviceRatios, deviation
from llm_energy.analysis.outputs import output_repetition
from llm_energy.results.metrics import JOULES_PER_OUTPUT_TOKEN, THROUGHPUT, Metric
from llm_energy.results.parts import Flag
from llm_energy.results.result import Result
from llm_energy.stats.outliers import outlier
from llm_energy.stats.output_sanity import REPEATED_LIMIT

WATCHED: dict[Metric, Callable[[Result], float | None]] = {
    THROUGHPUT: lambda result: result.output_tokens_per_second,
    JOULES_PER_OUTPUT_TOKEN: lambda result: result.energy.joules_per_output_token,
}
"""Metrics whose outliers are flags. With more of them, a flag by chance alone would be common."""


def with_ratio_flags(results: Sequence[Result], devices: Sequence[DeviceRatios]) -> list[Result]:
    """The results, those flagged whose counter left its device's usual ratio."""
    said: dict[int, list[Flag]] = {}
    for device in devices:
        for result in device.deviating:
            message = f"{device.device}: {deviation(result, device):+.1%} from the device's median"
            said.setdefault(id(result), []).append(Flag(code="ratio_deviates", message=message))
    return [flagged(result, said.get(id(result), [])) for result in results]


def with_outlier_flags(results: Sequence[Result]) -> list[Result]:
    """The results, those flagged that lie far from the other cycles of their experiment."""
    groups: dict[tuple[object, ...], list[Result]] = defaultdict(list)
    for result in results:
        place = (result.environment.device_model, result.environment.power_limit_watts)
        groups[(result.experiment, result.spec_hash, *place)].append(result)
    said: dict[int, list[Flag]] = {}
    for group in groups.values():
        for metric, value_of in WATCHED.items():
            known = [(r, value) for r in group if (value := value_of(r)) is not None]
            values = [value for _, value in known]
            if (index := outlier(values)) is not None:
                others = fmean(values[:index] + values[index + 1 :])
                message = f"{metric.title}: {values[index] / others - 1.0:+.1%} from the others"
                said.setdefault(id(known[index][0]), []).append(
                    Flag(code="outlier", message=message)
                )
    return [flagged(result, said.get(id(result), [])) for result in results]


def with_order_flags(results: Sequence[Result]) -> list[Result]:
    """The results, those flagged whose run measured them at another place than planned."""
    found = []
    for result, place in zip(results, places(results), strict=True):
        message = f"at place {place.actual} of its run, planned was {place.planned}"
        moved = place.planned != place.actual
        found.append(flagged(result, [Flag(code="out_of_order", message=message)] * moved))
    return found


def with_output_flags(results: Sequence[Result]) -> list[Result]:
    """The results, those flagged whose outputs repeat themselves."""
    found = []
    for result in results:
        share = output_repetition(result)
        flags = []
        if share is not None and share > REPEATED_LIMIT:
            message = f"{share:.0%} of 4-grams repeated (limit {REPEATED_LIMIT:.0%})"
            flags = [Flag(code="output_suspect", message=message)]
        found.append(flagged(result, flags))
    return found


def flagged(result: Result, flags: Sequence[Flag]) -> Result:
    """The result with more flags; result files stay as they are."""
    return result.model_copy(update={"flags": [*result.flags, *flags]}) if flags else result
