"""Settings of the analysis, and controls: no change here changes what an experiment measures."""

from typing import Annotated

from pydantic import Field

from llm_energy.campaign.experiment_settings import SettingKey
from llm_energy.campaign.types import Currency, Model, unit


class Electricity(Model):
    """Price of a kilowatt-hour."""

    price_per_kwh: Annotated[float, Field(gt=0, le=1e9), unit("currency/kWh")]
    """Price of electricity."""
    currency: Currency
    """Its currency, as three capital letters of ISO 4217, such as EUR."""


class SensorAccuracy(Model):
    """Limits of the power sensors' errors, where you know more than their vendors state."""

    gain_limit_relative: Annotated[float, Field(ge=0, lt=1)]
    """Limit of the gain: 0.05 is ±5 %, any value within it equally likely."""
    offset_limit_watts: Annotated[float, Field(ge=0, le=1e6), unit("W")] = 0.0
    """Limit of the offset of each device."""


class Assumptions(Model):
    """Sensor limits, prices and intensities, for uncertainty, cost and carbon. None is guessed:
    without a price, no cost is computed or shown."""

    sensor: SensorAccuracy | None = None
    """Limits of the power sensors, for example from a comparison with a wall meter. Default: ±5 %
    and, for GPUs, ±5 W, which vendors stated for older boards."""

    electricity: Electricity | None = None
    """Price of electricity, for the cost of a million output tokens."""
    carbon_intensity_grams_per_kwh: Annotated[float, Field(gt=0, le=1e5), unit("g/kWh")] | None = (
        None
    )
    """CO2 equivalent of the grid's electricity, for the emissions of a million output tokens."""
    power_usage_effectiveness: Annotated[float, Field(ge=1, le=100)] | None = None
    """Energy of the whole data centre over that of its computers: it multiplies cost and carbon."""


class Comparisons(Model):
    """Comparisons of experiments, beside those with the `reference`."""

    factors: list[SettingKey] | None = None
    """Settings whose values are compared, all else being equal. Default: each axis."""
    equivalence_margin: Annotated[float, Field(ge=1e-4, lt=1)] = 0.02
    """Ratios from 1 / (1 + margin) to 1 + margin count as no difference."""


class Controls(Model):
    """Measurements whose outcome is known beforehand, so that they test the measuring itself. They
    are made of the `reference`, or of the first experiment where there is none. A control that is
    added to a measured campaign shares no session with it, and then cannot be tested."""

    a_a: bool = False
    """The same settings once more under another name, in an engine process of their own: the ratio
    must be 1. One more measurement in each cycle."""
    idle: bool = False
    """Energy above idle while the loaded engine has no requests, which must be 0: the second
    half of its idle phase, with the first half as the baseline. Measures nothing more."""
    sampler_off: bool = False
    """The same settings without the power sampler in the window: the cost of sampling in
    speed. One more measurement in each cycle."""
    neighbours: bool = False
    """With `parallel`: the same settings while no other set measures, against the reference beside
    the others: what sets do to each other. One more measurement in each cycle, for which all other
    sets wait."""
