"""Pilot of a campaign: the same experiments, measured briefly, before days are spent on them."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from llm_energy.campaign.arrival_settings import uses_open_load
from llm_energy.campaign.campaign_file import HighestGood
from llm_energy.campaign.measurement_settings import Measurement

FOLDER = "pilot"
"""Inside the campaign's results folder."""

CYCLES = 2
"""The fewest that have a spread; it is pooled over all experiments."""

LONGEST_S = {
    "cpu": {"minimum_duration_s": 1.0, "baseline_s": 0.5, "warmup_cap_s": 2.0},
    "gpu": {"minimum_duration_s": 10.0, "baseline_s": 5.0, "warmup_cap_s": 30.0},
}
"""By device. Shorter windows on GPUs are refused: their sensors are too slow for them."""


def pilot_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a campaign's pilot.

    Its durations are part of what identifies a measurement, so that no result of a pilot can be
    taken for one of the campaign. A mistake in the configuration is left to whoever reads it.
    """
    given = config.get("measurement")
    try:
        timing = Measurement.model_validate(given or {})
    except ValidationError:
        return dict(config)
    limits = dict(LONGEST_S[timing.device])
    if uses_open_load(config):
        del limits["minimum_duration_s"]  # a shorter window would hold too few arrivals
    short = {key: min(getattr(timing, key), limit) for key, limit in limits.items()}
    experiments = config.get("experiments")
    if isinstance(experiments, Mapping):
        groups = {name: _without_search(group) for name, group in experiments.items()}
        config = {**config, "experiments": groups}
    return {**config, "cycles": CYCLES, "measurement": {**(given or {}), **short}}


def _without_search(group: Any) -> Any:
    """Return a group with the lowest and the highest rate in place of a search between them."""
    axes = group.get("axes") if isinstance(group, Mapping) else None
    if not isinstance(axes, Mapping):
        return group
    try:
        rates = HighestGood.model_validate(axes.get("request_rate")).highest_good.rates
    except ValidationError:
        return group
    return {**group, "axes": {**axes, "request_rate": [rates[0], rates[-1]]}}
