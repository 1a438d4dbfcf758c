"""Cost and carbon of output tokens: measured energy times what the campaign's file assumes.

Both are proportional to the energy per output token, so they are columns of the same measurements
and their intervals over cycles are those of the energy, carried over. The assumptions are taken as
exact: no uncertainty of theirs is part of any interval.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeVar

import pandas as pd

from llm_energy.analysis.table_columns import Column
from llm_energy.campaign.analysis_settings import Assumptions
from llm_energy.results.metrics import JOULES_PER_OUTPUT_TOKEN, Metric

JOULES_PER_KWH = 3.6e6
MILLION = 1e6
POWER_USAGE_EFFECTIVENESS = "power_usage_effectiveness"

Joules = TypeVar("Joules", float, pd.Series)


@dataclass(frozen=True)
class Derived:
    """Cost or carbon of a million output tokens."""

    amount: str
    """Begin of its column's name."""
    title: str
    unit: str
    rate: str
    """Column of the assumed amount per kWh."""
    rate_name: str
    per_kwh: float

    @property
    def metric(self) -> Metric:
        column = f"{self.amount}_per_million_output_tokens"
        title = f"{self.title} of a million output tokens"
        return Metric(column, title, "energy", self.unit, higher_is_better=False, sensor="gross")


def per_million_tokens(
    joules_per_token: Joules, *, per_kwh: float, power_usage_effectiveness: float | None = None
) -> Joules:
    """Return the cost or carbon of a million tokens, from its amount `per_kwh`.

    Args:
        joules_per_token: a number or a column of them.
        power_usage_effectiveness: energy of the data centre over that of its computers; None counts
            the measured energy alone.
    """
    factor = 1.0 if power_usage_effectiveness is None else power_usage_effectiveness
    return joules_per_token * (MILLION / JOULES_PER_KWH * per_kwh * factor)


def derived(assumptions: Assumptions) -> list[Derived]:
    """Cost and carbon, as far as the assumptions allow to compute them."""
    found = []
    if (electricity := assumptions.electricity) is not None:
        code, price = electricity.currency.lower(), electricity.price_per_kwh
        rate = (f"electricity_price_{code}_per_kwh", "price of electricity", price)
        found.append(Derived(f"cost_{code}", "Cost", electricity.currency, *rate))
    if (grams := assumptions.carbon_intensity_grams_per_kwh) is not None:
        column = "carbon_intensity_grams_per_kwh"
        found.append(Derived("carbon_grams", "Carbon", "g CO2e", column, "carbon intensity", grams))
    return found


def derived_metrics(assumptions: Assumptions) -> tuple[Metric, ...]:
    return tuple(each.metric for each in derived(assumptions))


def assumed_columns(assumptions: Assumptions) -> dict[str, Column]:
    """The columns that `with_derived` may add, with their meanings."""
    meanings = {
        POWER_USAGE_EFFECTIVENESS: "Assumed energy of the data centre over that of its computers."
    }
    for each in derived(assumptions):
        meanings[each.metric.column] = f"Energy of a million output tokens × {each.rate_name}."
        meanings[each.rate] = f"Assumed {each.rate_name}."
    return {name: Column("Float64", meaning) for name, meaning in meanings.items()}


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
        added[POWER_USAGE_EFFECTIVENESS] = _everywhere(effectiveness, measurements)
    return measurements.assign(**added)


def stated(assumptions: Assumptions, scopes: Collection[str]) -> str | None:
    """State the assumptions in words; None where nothing is computed from them.

    Args:
        scopes: of the energies, such as `gpu_board`; none where no energy was measured.
    """
    rates = [f"{each.per_kwh:g} {each.unit} per kWh" for each in derived(assumptions)]
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


def _everywhere(value: float, table: pd.DataFrame) -> pd.Series:
    return pd.Series(value, index=table.index, dtype="Float64")
