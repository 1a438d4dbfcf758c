"""Settings of an experiment: as a campaign declares them, and resolved."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from llm_energy.campaign.arrival_settings import Arrivals
from llm_energy.campaign.gpu_settings import GPU_KEYS, GpuSettings
from llm_energy.campaign.types import Count, Identifier, Model, Name, Natural, Scalar, Tokens, unit
from llm_energy.system.vocabulary import EXACT, OPEN, WAVES, LoadMode, OutputLength

OF_OPEN_LOAD = {"request_rate", "arrivals", "trace"}
"""Settings of load mode `open` alone."""


class Sampling(Model):
    """Sampling of output tokens. The default is greedy."""

    temperature: Annotated[float, Field(ge=0, le=100)] = 0.0
    """0 takes the most likely token."""
    top_p: Annotated[float, Field(ge=1e-4, le=1)] = 1.0
    """Cumulative probability of the tokens that are kept; 1 keeps all."""
    top_k: Natural = 0
    """Number of tokens that are kept; 0 keeps all."""
    seed: Natural = 0
    """Seed of the engine's random numbers."""


class _Common(Model):
    batch_size: Annotated[Count, unit("requests")] = 1
    """Requests submitted together; with load mode `closed`, the constant concurrency; with `open`,
    the most that the engine decodes together, while others wait."""
    output_tokens: Tokens = 16
    """Tokens generated for each request, no fewer and no more."""
    output_length: OutputLength = EXACT
    """`exact`: an end-of-text token ends nothing; `natural`: the model may end earlier than
    `output_tokens`, for a server that cannot be kept from it. Answers of different lengths are
    different work: such experiments are compared per token only."""
    context_tokens: Tokens = 512
    """Room for prompt and output of one sequence."""
    dtype: str = "auto"
    """Number format of weights and arithmetic, such as `bfloat16`; `auto` is the model's own."""
    load_mode: LoadMode = WAVES
    """`waves`: submit a batch, wait for all of it; `closed`: constant concurrency; `open`: arrivals
    at `request_rate`, whatever is still in flight."""
    request_rate: Annotated[float, Field(gt=0, le=1e6), unit("requests/s")] | None = None
    """With load mode `open`: mean rate of the arrivals. Of a trace, so many of its requests are
    kept. Default: all of a trace, otherwise there is none."""
    arrivals: Arrivals = Arrivals()
    """With load mode `open`: arrivals and output lengths."""
    sampling: Sampling = Sampling()
    """Sampling of output tokens."""
    gpu: GpuSettings = GpuSettings()
    """Power limit and clocks of the GPUs."""


class DeclaredSettings(_Common):
    """One block of settings; those of a group win over `defaults`."""

    backend: Identifier | None = None
    """One of `backends`."""
    model: Name | None = None
    """One of `models`."""
    prompts: Name | None = None
    """One of `prompts`."""
    trace: Name | None = None
    """With load mode `open`: one of `traces`."""
    engine: dict[Identifier, dict[Identifier, Scalar]] = Field(default_factory=dict)
    """Engine options by backend; only those of the experiment's backend count."""

    def declared(self) -> dict[str, Any]:
        """Return only what the file gives, nested as it is there."""
        return self.model_dump(exclude_unset=True, exclude_none=True)


class Settings(_Common):
    """All settings of one experiment."""

    backend: str
    """Name of the backend."""
    model: str
    """Name of the model."""
    prompts: str
    """Name of the prompt set."""
    trace: str | None = None
    """Name of the trace of arrivals."""
    engine_options: dict[str, Any]
    """Options of the experiment's backend, defaults included."""

    def resolved(self) -> dict[str, Any]:
        """Return all settings that count in this load mode, as plain values."""
        others = set[str]() if self.load_mode == OPEN else set(OF_OPEN_LOAD)
        if self.trace is None:
            others |= {"trace"}
        if self.output_length == EXACT:  # as before there was another
            others |= {"output_length"}
        plain = self.model_dump(mode="json", exclude=others | {"gpu"})
        return plain | ({"gpu": declared} if (declared := self.gpu.declared()) else {})

    @property
    def longest_output(self) -> int:
        """Most output tokens of a request; of a trace, which has its own, 1."""
        spread = self.arrivals.lengths if self.load_mode == OPEN else "fixed"
        longest = {"fixed": self.output_tokens, "uniform": 2 * self.output_tokens - 1}
        return longest.get(spread, 1)

    @property
    def slots(self) -> int:
        """Sequences that the engine has room for: its option `slots`, else the batch size."""
        return int(self.engine_options.get("slots", self.batch_size))


DOTTED_KEYS = (
    *(
        k
        for k in DeclaredSettings.model_fields
        if k not in ("sampling", "arrivals", "gpu", "engine")
    ),
    *(f"sampling.{key}" for key in Sampling.model_fields),
    *(f"arrivals.{key}" for key in Arrivals.model_fields),
    *GPU_KEYS,
)
"""Every setting that may vary, but for engine options (`engine.{backend}.{option}`)."""

SETTING_KEY = "^({}|engine\\.[a-z][a-z0-9_-]*\\.[a-z][a-z0-9_-]*)$".format(
    "|".join(key.replace(".", "\\.") for key in DOTTED_KEYS)
)

SettingKey = Annotated[str, Field(pattern=SETTING_KEY)]


def flatten(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """{"sampling": {"seed": 1}} -> ("sampling.seed", 1), ..."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Invert `flatten`."""
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, last = key.split(".")
        inner = nested
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    return nested
