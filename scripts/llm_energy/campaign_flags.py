"""Flags that only all results of a campaign together can raise."""

from collections.abc import Sequence

from llm_energy.power.ratios import DeviceRatios, deviation
from llm_energy.results import Flag, Result

MEANINGS = {
    "ratio_deviates": "Energy counter and integrated instant power of a device differ otherwise "
    "than they usually do on it: one of them was late or lost in this window.",
}
"""Code -> what a reader must know."""


def with_ratio_flags(results: Sequence[Result], devices: Sequence[DeviceRatios]) -> list[Result]:
    """The results, those flagged whose counter left its device's usual ratio."""
    said: dict[int, list[Flag]] = {}
    for device in devices:
        for result in device.deviating:
            message = f"{device.device}: {deviation(result, device):+.1%} from the device's median"
            said.setdefault(id(result), []).append(Flag(code="ratio_deviates", message=message))
    return [flagged(result, said.get(id(result), [])) for result in results]


def flagged(result: Result, flags: Sequence[Flag]) -> Result:
    """The result with more flags; result files stay as they are."""
    return result.model_copy(update={"flags": [*result.flags, *flags]}) if flags else result
