"""Keys of a campaign file, with types, units and defaults."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from llm_energy.campaign.analysis_settings import Assumptions, Comparisons, Controls
from llm_energy.campaign.arrival_settings import (
    WINDOW_ON_GPU_S,
    Objectives,
    TraceConfig,
    uses_open_load,
)
from llm_energy.campaign.backend_settings import BackendConfig
from llm_energy.campaign.declared_inputs import DeclaredPrompts, ModelConfig
from llm_energy.campaign.experiment_settings import DeclaredSettings, SettingKey
from llm_energy.campaign.export_target import PATTERN, export_target
from llm_energy.campaign.measurement_settings import GPU_CYCLES, Measurement
from llm_energy.campaign.parallel_settings import Parallel
from llm_energy.campaign.publication import Publication
from llm_energy.campaign.types import (
    Alternatives,
    Count,
    Filled,
    Identifier,
    Model,
    Name,
    Natural,
    Scalar,
    Text,
    unit,
)


def _exactly_one_way(schema: dict[str, Any]) -> None:
    """Write the check of `Range._one_way` into the JSON schema."""
    above_zero = {"from": {"exclusiveMinimum": 0}}
    schema["oneOf"] = [{"required": ["step"]}, {"required": ["factor"], "properties": above_zero}]


def _server_address(url: str) -> str:
    try:
        export_target(url)
    except ValueError as error:
        raise PydanticCustomError("kind", "{text}", {"text": str(error)}) from error
    return url


ServerAddress = Annotated[
    str, AfterValidator(_server_address), Field(json_schema_extra={"pattern": PATTERN})
]


class Range(Model):
    """Values `from`, `from + step`, ... or `from`, `from * factor`, ... up to `to`."""

    model_config = ConfigDict(json_schema_extra=_exactly_one_way)

    from_: Annotated[float, Field(alias="from")]
    """First value; above 0 with a factor."""
    to: float
    """Upper bound; the last value where the others end on it."""
    step: Annotated[float, Field(gt=0)] | SkipJsonSchema[None] = None
    """Difference of two neighbours; either this or `factor`."""
    factor: Annotated[float, Field(gt=1)] | SkipJsonSchema[None] = None
    """Ratio of two neighbours; either this or `step`."""

    @model_validator(mode="after")
    def _one_way(self) -> "Range":
        given = self.model_fields_set & {"step", "factor"}
        if len(given) != 1 or (self.step is None and self.factor is None):
            raise PydanticCustomError("kind", "needs exactly one of the keys step and factor")
        if self.factor is not None and self.from_ <= 0:
            raise PydanticCustomError("kind", "must begin above 0 to grow by a factor")
        return self


class RateGrid(Model):
    """Rates `from`, `from` × (1 + `tolerance`), ... up to `to`, with four significant digits."""

    from_: Annotated[float, Field(alias="from", gt=0, le=1e6), unit("requests/s")]
    """Lowest rate."""
    to: Annotated[float, Field(gt=0, le=1e6), unit("requests/s")]
    """Upper bound of the rates. Another one leaves the rates below it as they are."""
    tolerance: Annotated[float, Field(ge=0.01, le=1)] = 0.1
    """Distance of two neighbours, over the lower one: precision of the rate that is found."""

    @model_validator(mode="after")
    def _two_rates(self) -> "RateGrid":
        if len(self.rates) < 2:
            message = "holds one rate; raise `to` to `from` × (1 + `tolerance`)"
            raise PydanticCustomError("kind", message)
        return self

    @property
    def rates(self) -> list[float]:
        """The rates in ascending order."""
        rate, rates = self.from_, list[float]()
        while rate <= self.to * (1.0 + 1e-9):
            rates.append(rate)
            rate = float(f"{self.from_ * (1.0 + self.tolerance) ** len(rates):.4g}")
        return rates


class HighestGood(Model):
    """Search for the highest rate at which the campaign's objectives (`slo`) are kept, by
    bisection: of the rates, only those that the search visits are measured."""

    highest_good: RateGrid
    """Rates to search."""


AxisValues = Annotated[
    Annotated[list[Scalar], Field(min_length=1)] | Range | HighestGood,
    Alternatives(object, dict, "highest_good"),
]
Axes = dict[SettingKey, AxisValues]
Point = Annotated[dict[SettingKey, Scalar], Field(min_length=1)]


class AdaptiveCycles(Model):
    """Cycles in two stages: the first ones decide how many the target precision needs."""

    first: Annotated[int, Field(ge=3)] = 5
    """Cycles that every experiment is measured in. Fewer than 5 estimate the spread poorly,
    and many more cycles than necessary follow."""
    maximum: Count
    """Most cycles of an experiment, whatever its spread."""
    target_relative_half_width: Annotated[float, Field(ge=1e-4, lt=1)] = 0.02
    """Half width of the 95 % interval of the mean over the mean: 0.02 is ±2 %."""

    @model_validator(mode="after")
    def _room_for_a_second_stage(self) -> "AdaptiveCycles":
        if self.maximum <= self.first:
            text = f"must be above first, which is {self.first}; or give one number"
            raise PydanticCustomError("kind", f"maximum {text}")
        return self


Cycles = Annotated[Count | AdaptiveCycles, Alternatives(object, dict)]


class Group(Model):
    """A named group of experiments: one, or every combination of its axes."""

    settings: DeclaredSettings = Field(default_factory=DeclaredSettings)
    """Settings of all its experiments; they win over `defaults`."""
    axes: Axes = Field(default_factory=dict)
    """Settings that vary, each with a list of values or a range: every combination is measured.
    `request_rate` may be searched, with `highest_good`."""
    linked: list[Annotated[Axes, Field(min_length=1)]] = Field(default_factory=list)
    """Settings that vary together: each block is one axis, its lists run side by side."""
    exclude: list[Point] = Field(default_factory=list)
    """Combinations that are left out: all that agree with the values given."""
    include: list[Point] = Field(default_factory=list)
    """Combinations that are added: a value for each axis, and for other settings as you like."""


class CampaignConfig(Model):
    """One campaign: what is compared, and how it is measured."""

    campaign: Name
    """Name of the campaign: its results lie under results/{campaign}."""
    seed: Natural = 0
    """Seed of the order of the measurements."""
    cycles: Cycles = 3
    """Number of measurements of every experiment, or two stages of which the first decides how
    long the second is. GPU: 5."""
    order: Literal["randomised_blocks", "sequential"] = "randomised_blocks"
    """`randomised_blocks`: each cycle in a random order of its own; `sequential`: as declared."""
    isolation: Literal["cycle", "measurement", "campaign"] = "cycle"
    """Time during which measurements with equal engine settings share an engine process."""
    reference: Text | None = None
    """Experiment that the others are compared with."""
    comparisons: Comparisons = Field(default_factory=Comparisons)
    """Comparisons between experiments."""
    controls: Controls = Field(default_factory=Controls)
    """Measurements whose outcome is known beforehand."""
    assumptions: Assumptions = Field(default_factory=Assumptions)
    """Prices and intensities that cost and carbon are computed from."""
    backends: Annotated[dict[Identifier, BackendConfig], Field(min_length=1)]
    """Inference engines in use, by name."""
    models: Annotated[dict[Name, ModelConfig], Field(min_length=1)]
    """Models in use, by a name of your choice."""
    prompts: Annotated[dict[Name, DeclaredPrompts], Field(min_length=1)]
    """Prompt sets in use, by a name of your choice."""
    traces: dict[Name, TraceConfig] = Field(default_factory=dict)
    """Traces of arrivals in use, by a name of your choice."""
    slo: Annotated[Objectives | None, Filled()] = None
    """Objectives of latency, for experiments with load mode `open`."""
    measurement: Measurement = Field(default_factory=Measurement)
    """Durations and rates of every measurement."""
    parallel: Annotated[
        Parallel | None,
        Filled("must be keys with values, not null; `{}` makes each GPU of the host a set"),
    ] = None
    """Sets of GPUs of one host that are measured on at the same time."""
    defaults: DeclaredSettings = Field(default_factory=DeclaredSettings)
    """Settings that every experiment starts from."""
    experiments: Annotated[dict[Name, Group], Field(min_length=1)]
    """Groups of experiments, by a name of your choice."""
    publication: Publication = Field(default_factory=Publication)
    """Title, authors and licence of an archive of the campaign."""
    remeasure: Literal[True, False, "invalid"] = False
    """For `--config`: `true`: measure again what `--forcerun` names; `invalid`: measure again what
    cannot be used, has lost its raw data, or has no energy where this machine has a sensor. The old
    results go to superseded/."""
    new_device: bool = False
    """For `--config`: allow to add to a campaign that was measured on another device model."""
    status: Literal["text", "json"] = "text"
    """For `--config`: how the target `status` prints: for people or for programs."""
    export_to: ServerAddress | None = None
    """Time-series server that finished measurements are sent to, when a run ends and by the target
    `export`: `influxdb://HOST:8086/DATABASE`, `influxdb2://HOST:8086/ORG/BUCKET`,
    `victoriametrics://HOST:8428` or `postgresql://HOST/DATABASE`. Credentials come from the
    environment (docs/time-series.md)."""

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_device(cls, given: Any) -> Any:
        measurement = given.get("measurement") if isinstance(given, dict) else None
        if not isinstance(measurement, dict) or measurement.get("device") != "gpu":
            return given
        if uses_open_load(given):
            longer = {"minimum_duration_s": WINDOW_ON_GPU_S, **measurement}
            given = {**given, "measurement": longer}
        return {"cycles": GPU_CYCLES, **given}
