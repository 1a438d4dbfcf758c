"""Cost and carbon of output tokens: measured energy times what the campaign's file assumes.

Both are proportional to the energy per output token, so they are columns of the same measurements
and their intervals over cycles are those of the energy, carried over. The assumptions are taken as
exact: no uncertainty of theirs is part of any interval.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeVar

import pandas as pd

from llm_energy.campaign.analysis_settings import Assumptions
from llm_energy.results.metrics import JOULES_PER_OUTPUT_TOKEN, Metric

JOULES_PER_KWH = 3.6e6
MILLION = 1e6

Joules = TypeVar("Joules", float, pd.Series)


@dataclass(frozen=True)
class Derived:
    metric: Metric
    rate: str
    """Column that the assumed amount per kWh stands in."""
    per_kwh: float
    shown_rate: str


def per_million_tokens(
    joules_per_token: Joules, *, per_kwh: float, power_usage_effectiveness: float | None = None
) -> Joules:
    """What a million tokens take of something that a kilowatt-hour takes `per_kwh` of.

    Args:
        joules_per_token: a number or a column of them.
        power_usage_effectiveness: energy of the data centre over that of its computers; None counts
            the measured energy alone.
    """
    factor = 1.0 if power_usage_effectiveness is None else power_usage_effectiveness
    return joules_per_token * (MILLION / JOULES_PER_KWH * per_kwh * factor)


def derived(assumptions: Assumptions) -> list[Derived]:
    """What the assumptions allow to compute; nothing without any."""
    found = []
    if assumptions.electricity is not None:
        price, currency = assumptions.electricity.price_per_kwh, assumptions.electricity.currency
        cost = f"cost_{currency.lower()}_per_million_output_tokens"
        found.append(
            Derived(
                _metric(cost, "Cost of a million output tokens", currency),
                f"electricity_price_{currency.lower()}_per_kwh",
                price,
                f"{price:g} {currency} per kWh",
            )
        )
    if assumptions.carbon_intensity_grams_per_kwh is not None:
        grams, carbon = assumptions.carbon_intensity_grams_per_kwh, "g CO2e"
        column = "carbon_grams_per_million_output_tokens"
        found.append(
            Derived(
                _metric(column, "Carbon of a million output tokens", carbon),
                "carbon_intensity_grams_per_kwh",
                grams,
                f"{grams:g} {carbon} per kWh",
            )
        )
    return found


def derived_metrics(assumptions: Assumptions) -> tuple[Metric, ...]:
    return tuple(each.metric for each in derived(assumptions))


def with_derived(measurements: pd.DataFrame, assumptions: Assumptions) -> pd.DataFrame:
    """The table of measurements with cost and carbon, and beside them what they assume."""
    joules = measurements[JOULES_PER_OUTPUT_TOKEN.column]
    effectiveness = assumptions.power_usage_effectiveness
    added: dict[str, pd.Series] = {}
    for each in derived(assumptions):
        added[each.metric.column] = per_million_tokens(
            joules, per_kwh=each.per_kwh, power_usage_effectiveness=effectiveness
        )
        added[each.rate] = _everywhere(each.per_kwh, measurements)
    if added and effectiveness is not None:
        added["power_usage_effectiveness"] = _everywhere(effectiveness, measurements)
    return measurements.assign(**added)


def stated(assumptions: Assumptions, scopes: Collection[str]) -> str | None:
    """The assumptions in words; None where nothing is computed from them.

    Args:
        scopes: of the energies, such as `gpu_board`; none where no energy was measured.
    """
    rates = [each.shown_rate for each in derived(assumptions)]
    if not rates or not scopes:
        return None
    effectiveness = assumptions.power_usage_effectiveness
    around = (
        "no power usage effectiveness, so nothing of the data centre around the machine"
        if effectiveness is None
        else f"a power usage effectiveness of {effectiveness:g}"
    )
    text = f"Cost and carbon assume {', '.join(rates)} and {around}. They count energy of scope "
    text += " and ".join(sorted(scopes))
    if set(scopes) != {"wall"}:
        text += ": a lower bound, because the rest of the machine draws power as well"
    return f"{text}."


def _metric(column: str, title: str, unit: str) -> Metric:
    return Metric(column, title, "energy", unit, higher_is_better=False, sensor="gross")


def _everywhere(value: float, table: pd.DataFrame) -> pd.Series:
    return pd.Series(value, index=table.index, dtype="Float64")
