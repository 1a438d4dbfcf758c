"""Keys of a campaign file, with types, units and defaults."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from llm_energy.campaign.analysis_settings import Assumptions, Comparisons, Controls
from llm_energy.campaign.declared_inputs import DeclaredPrompts, ModelConfig
from llm_energy.campaign.publication import Publication
from llm_energy.campaign.settings import DeclaredSettings, SettingKey
from llm_energy.campaign.types import (
    Alternatives,
    BaseImage,
    Count,
    Duration,
    EnvironmentVariable,
    Hertz,
    Identifier,
    Memory,
    Model,
    Name,
    Natural,
    PinnedImage,
    Scalar,
    Seconds,
    Sha256,
    Text,
)
from llm_energy.system.vocabulary import DOCKER, PROCESS, Runtime

GPU_DEFAULTS = {"minimum_duration_s": 30.0, "baseline_s": 30.0, "warmup_cap_s": 180.0}
"""Longer than on a CPU: a GPU's sensors average over 1 s and its temperature settles."""

GPU_CYCLES = 5
"""On a GPU: below 5 an interval over cycles is wider than most effects that are looked for."""


class Interpreter(Model):
    """An environment of yours that holds the engine already."""

    python: Text
    """Path of its Python interpreter. It is no part of the environment's identity."""
    packages_sha256: Sha256 | None = None
    """Checksum of its installed packages; without it the `lock` target pins it."""


class Image(Model):
    """An image that holds the engine already; pulled if this host does not have it."""

    image: PinnedImage
    """`NAME@sha256:...`, or the id `sha256:...` of an image of this host."""
    python: Text = "python3"
    """Its Python interpreter that has the engine."""


Gpus = Annotated[
    Literal["all"] | Count | Annotated[list[Text], Field(min_length=1)],
    Alternatives(
        *("all", (int, float), list), message="must be `all`, a number, or a list of UUIDs"
    ),
]


class Container(Model):
    """Resources of the host for a backend's container. Runtime `docker` only."""

    gpus: Gpus | None = None
    """`all`, a number, or a list of UUIDs. GPU: all."""
    cpus: Annotated[float, Field(gt=0)] | None = None
    """Most CPU time that it gets, in cores."""
    memory: Memory | None = None
    """Most memory that it gets, such as `8g`; an engine that needs more ends as out of memory."""
    shm_size: Memory = "1g"
    """Size of /dev/shm, which engine processes share tensors through."""
    ulimits: dict[Identifier, Annotated[int, Field(ge=-1, le=2**53)]] = Field(default_factory=dict)
    """Limits by name, soft and hard at once, such as `memlock: -1`."""
    environment: dict[EnvironmentVariable, str] = Field(default_factory=dict)
    """Environment variables for the engine. They are part of what is measured: no secrets."""
    user: Text | None = None
    """`UID` or `UID:GID` that it runs as. Default: your own."""
    read_only: bool = True
    """`true`: its root file system cannot be written; /tmp and its home always can."""


class BackendConfig(Model):
    """Runtime and environment of a backend."""

    runtime: Runtime = PROCESS
    """`process`: a process of this machine in an environment of its own; `docker`: a container."""
    environment: Annotated[
        Literal["managed"] | Interpreter | Image, Alternatives(object, dict, "image")
    ] = "managed"
    """`managed`: made from envs/{backend}; or an interpreter of yours, `{python: PATH}`, or an
    image, `{image: NAME@sha256:...}`."""
    base: BaseImage | None = None
    """Image that a managed container is built on: `debian`, which is made on this machine from
    Debian's packages, or an image by exact tag or digest; else the one that its Dockerfile names.
    """
    container: Container = Field(default_factory=Container)
    """Resources of the host for its container."""

    @property
    def in_container(self) -> bool:
        return self.runtime == DOCKER


class Measurement(Model):
    """Durations and rates of every measurement of the campaign."""

    device: Literal["cpu", "gpu"] = "cpu"
    """Device that computes; it chooses the defaults of the durations."""
    minimum_duration_s: Duration = 3.0
    """Least length of the measured window. GPU: 30, and no less than 10."""
    baseline_s: Seconds = 2.0
    """Idle time of the loaded engine before its warm-up. GPU: 30."""
    warmup_cap_s: Seconds = 5.0
    """Longest warm-up, counted from the end of its first wave. GPU: 180."""
    tail_s: Seconds = 1.0
    """Time that the load runs on after the window, so that its end lies inside steady load."""
    sampling_hz: Hertz = 10.0
    """Readings of power and energy counter per second."""
    load_deadline_s: Duration = 900.0
    """Loading the engine fails after this time."""
    first_wave_deadline_s: Duration = 900.0
    """The first wave, in which an engine may compile, fails after this time."""
    measure_deadline_s: Duration = 3600.0
    """Warm-up, window and tail together fail after this time."""

    @property
    def on_gpu(self) -> bool:
        return self.device == "gpu"

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_device(cls, given: Any) -> Any:
        gpu = isinstance(given, dict) and given.get("device") == "gpu"
        return {**GPU_DEFAULTS, **given} if gpu else given


DEADLINES = ("load_deadline_s", "first_wave_deadline_s", "measure_deadline_s")
"""Keys of `Measurement` that do not change what is measured."""


def _exactly_one_way(schema: dict[str, Any]) -> None:
    """Write the check of `Range._one_way` into the JSON schema."""
    above_zero = {"from": {"exclusiveMinimum": 0}}
    schema["oneOf"] = [{"required": ["step"]}, {"required": ["factor"], "properties": above_zero}]


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


AxisValues = Annotated[
    Annotated[list[Scalar], Field(min_length=1)] | Range, Alternatives(object, dict)
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
    target_relative_half_width: Annotated[float, Field(gt=0, lt=1)] = 0.02
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
    """Settings that vary, each with a list of values or a range: every combination is measured."""
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
    measurement: Measurement = Field(default_factory=Measurement)
    """Durations and rates of every measurement."""
    defaults: DeclaredSettings = Field(default_factory=DeclaredSettings)
    """Settings that every experiment starts from."""
    experiments: Annotated[dict[Name, Group], Field(min_length=1)]
    """Groups of experiments, by a name of your choice."""
    publication: Publication = Field(default_factory=Publication)
    """Title, authors and licence of an archive of the campaign."""
    remeasure: Literal[True, False, "invalid"] = False
    """For `--config`: `true`: measure again what `--forcerun` names; `invalid`: measure again what
    has no energy, or a result that cannot be used. The old results go to superseded/."""
    new_device: bool = False
    """For `--config`: allow to add to a campaign that was measured on another device model."""

    @model_validator(mode="before")
    @classmethod
    def _cycles_of_the_device(cls, given: Any) -> Any:
        measurement = given.get("measurement") if isinstance(given, dict) else None
        gpu = isinstance(measurement, dict) and measurement.get("device") == "gpu"
        return {"cycles": GPU_CYCLES, **given} if gpu else given
