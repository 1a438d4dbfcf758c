"""Settings of load mode `open`: arrivals, traces of them, and objectives of latency."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from llm_energy.campaign.types import Model, Natural, Sha256, Text, unit
from llm_energy.system.vocabulary import OPEN

WINDOW_ON_GPU_S = 120.0
"""Default window of a campaign with load mode `open` on a GPU: arrivals scatter."""

LEAST_ARRIVALS = 30
"""A window with fewer on average is refused: its queue cannot be judged."""


class Arrivals(Model):
    """Arrivals of load mode `open`. With equal seeds all configurations of a cycle get the same
    schedule, at another `request_rate` on another time scale; cycles get others."""

    process: Literal["poisson", "gamma", "constant", "trace"] = "poisson"
    """`poisson`: exponential gaps; `gamma`: gaps with `burstiness`; `constant`: equal gaps;
    `trace`: the times of `trace`."""
    burstiness: Annotated[float, Field(ge=0.01, le=100)] = 1.0
    """Shape of the gamma distribution of gaps: 1 is Poisson, 0.25 has twice its scatter."""
    lengths: Literal["fixed", "uniform", "trace"] = "fixed"
    """Output lengths: `fixed`: `output_tokens` each; `uniform`: from 1 to 2 × `output_tokens` − 1;
    `trace`: those of `trace`, with prompts of its lengths, cut from the prompt set."""
    seed: Natural = 0
    """Seed of the schedule, together with the cycle."""


class TraceConfig(Model):
    """Times and lengths of requests from a file: Azure LLM inference or BurstGPT as CSV, Mooncake
    as JSON lines; which one is seen from its columns."""

    file: Text
    """Path, absolute or from the working directory. It is no part of the identity."""
    sha256: Sha256 | None = None
    """Checksum of the file, checked where it is given."""
    model: Text | None = None
    """Model whose requests count, where the file has those of several."""


Milliseconds = Annotated[float, Field(gt=0, le=1e9), unit("ms")]


class Objectives(Model):
    """Objectives of latency for load mode `open`. A request is good if it keeps all of them, from
    its scheduled arrival on. They change no measurement: results are judged again by new ones."""

    time_to_first_token_ms: Milliseconds | None = None
    """Longest time to the first token."""
    inter_token_latency_ms: Milliseconds | None = None
    """Longest mean time between the tokens of a request."""
    end_to_end_ms: Milliseconds | None = None
    """Longest time to the last token."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of the requests that must be good."""

    @model_validator(mode="after")
    def _one_at_least(self) -> "Objectives":
        limits = self.model_dump(exclude={"share"})
        if not any(limits.values()):
            names = ", ".join(limits)
            raise PydanticCustomError("kind", f"holds no objective; give one of {names}")
        return self

    def in_seconds(self) -> dict[str, float | None]:
        """Return them as a result keeps them: `..._s`, and the share."""
        limits = self.model_dump(exclude={"share"}).items()
        seconds = {f"{key[:-3]}_s": ms and ms / 1e3 for key, ms in limits}
        return {**seconds, "share": self.share}


def uses_open_load(config: Mapping[str, Any]) -> bool:
    """Return True where a raw configuration names load mode `open` anywhere in its experiments."""
    return any(OPEN in texts for texts in _load_modes(config))


def _load_modes(config: Mapping[str, Any]) -> Iterable[Any]:
    experiments = config.get("experiments")
    groups = experiments.values() if isinstance(experiments, Mapping) else ()
    blocks = [config.get("defaults")]
    for group in groups:
        if isinstance(group, Mapping):
            blocks += [group.get("settings"), group.get("axes")]
            for key in ("linked", "include"):
                more = group.get(key)
                blocks += more if isinstance(more, list) else []
    for block in blocks:
        mode = block.get("load_mode") if isinstance(block, Mapping) else None
        yield mode if isinstance(mode, list) else [mode]
