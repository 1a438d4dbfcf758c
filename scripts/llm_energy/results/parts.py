"""The parts of a result, but for its energy.

Times called `*_monotonic_s` are seconds on CLOCK_MONOTONIC, which the host and its containers
share.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Content of a file of a campaign: checked when it is read, and never changed."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,  # descriptions in the published schema
    )


class Distribution(Model):
    """Summary of one latency over its samples, in seconds. Percentiles interpolate linearly."""

    count: int
    mean: float
    minimum: float
    p50: float
    p90: float
    p95: float
    p99: float
    maximum: float


class Latency(Model):
    """Client-side latencies of the requests of the window, as the engine process saw them."""

    time_to_first_token_s: Distribution | None
    inter_token_latency_s: Distribution | None
    """Gaps between successive tokens of one request, pooled; None with 1 output token."""
    end_to_end_s: Distribution | None


class Window(Model):
    """The measured interval: first submit to last counted token."""

    start_monotonic_s: float
    end_monotonic_s: float
    start_wall: str
    """ISO 8601, UTC, derived from the monotonic start and one reading of both clocks."""
    end_wall: str
    duration_s: float
    waves: int | None
    """Waves inside the window; None in load mode `closed`."""
    passes: int | None
    """Whole passes over the prompt set; None in load mode `closed`."""


class Tokens(Model):
    """Counts over the window. Padding is no input token; output tokens are those produced."""

    input: int
    output: int
    requests: int


class PowerSteadiness(Model):
    """Whether power and temperature were steady at the end of the warm-up, on means over whole
    waves of together at least 1 s."""

    verdict: str
    """One of `steady`, `not_steady`, `temperature_changes`, `too_short`."""
    span_s: float
    """How long they must have been."""
    trend_interval: tuple[float, float] | None = None
    """90 % interval of slope × span over the mean power."""
    bound: float | None = None
    temperature_range_celsius: float | None = None
    """Highest less lowest temperature of the device that changed most; None if none tells."""


class Warmup(Model):
    """How the steady state was reached, on wave throughput (see worker/steady.py)."""

    steady: bool
    capped: bool
    verdict: str
    """One of `steady`, `not_steady`, `too_few_waves`."""
    waves: int
    duration_s: float
    first_wave_s: float
    throughput_tokens_per_second: list[float]
    """One value for each warm-up wave, in order."""
    coefficient_of_variation: float | None
    trend_interval: tuple[float, float] | None
    """90 % interval of slope × span over the mean: the relative change over the tested waves."""
    bound: float | None
    """The equivalence bound that was applied: ±bound."""
    power: PowerSteadiness | None = None
    """None where nothing was metered, or the warm-up's cap is too short to tell."""


class Drift(Model):
    """Last third of the window against its first third: relative change, None if too short."""

    throughput_relative: float | None
    power_relative: float | None


class Phase(Model):
    """One stretch of the measurement's time line, in the order in which they happened."""

    name: str
    """`cool_down`, `host_idle`, `load`, `settle`, `idle`, `warmup`, `window` or `tail`."""
    start_monotonic_s: float
    end_monotonic_s: float


class Flag(Model):
    """Something a reader must know about this result. Codes are listed in `flags.py`."""

    code: str
    message: str


class Settings(Model):
    """What was asked for, what that meant, and what the live engine said it does."""

    declared: dict[str, Any]
    resolved: dict[str, Any]
    observed: dict[str, Any]


class PromptSet(Model):
    name: str
    sha256: str
    """Of the canonical JSON of the token ids."""
    count: int
    mean_input_tokens: float


class ProcessState(Model):
    """Ages and job counts, so that carry-over between measurements can be tested."""

    engine_reused: bool
    engine_age_s: float
    engine_jobs: int
    """Measurements this engine process had served before this one."""
    supervisor_age_s: float
    supervisor_jobs: int


class Environment(Model):
    session_id: str
    run_id: str
    host: str
    cpu_model: str
    kernel: str
    device_model: str
    """What results are grouped by: the GPU model, or the CPU model where there is no GPU."""
    device_uuids: list[str]
    power_limit_watts: float | None
    driver: str | None
    runtime: str
    environment_hash: str
    image_digest: str | None
    python_version: str
    engine_version: str
    packages_sha256: str
    """Of the sorted `name==version` lines of the backend's environment (kept in environment/)."""
    model_sha256: str
    """Of the sorted `sha256  name` lines of the model's files."""
    code_digest: str
    git_commit: str | None
    git_dirty: bool | None


class SideFile(Model):
    """A file beside the results, found through its result; a gap is shown where it is absent."""

    path: str
    """Relative to the campaign's results folder."""
    sha256: str


class SampleOutput(Model):
    """What an engine generated for one prompt."""

    prompt_index: int
    output_ids: list[int]
