"""The parts of a result, but for its energy.

Times called `*_monotonic_s` are seconds on CLOCK_MONOTONIC, which the host and its containers
share.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63), WithJsonSchema({"type": "integer"})]
"""A whole number that a column of a table can hold, which goes without saying."""

NOT_STREAMED: Final = "not_streamed"
"""Reason of a server that gives each answer whole; the flag has the same name."""


class Model(BaseModel):
    """Content of a file of a campaign: checked when it is read, and never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Distribution(Model):
    """Summary of one latency over its samples, in seconds. Percentiles interpolate linearly."""

    count: Int64
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
    """From submission to first token, over the requests of the window. None also where
    `token_latency_reason` says why."""
    inter_token_latency_s: Distribution | None
    """Between successive tokens of a request, pooled over the window; none with 1 output token.
    None also where `token_latency_reason` says why."""
    end_to_end_s: Distribution | None
    """From submission to last token, over the requests of the window."""
    token_latency_reason: Literal["not_streamed"] | None = None
    """Reason for an unknown time to first token and inter-token latency: a server that gives each
    answer whole."""


class Window(Model):
    """The measured interval: first submit to last counted token."""

    start_monotonic_s: float
    end_monotonic_s: float
    start_wall: str
    """When the window opened (ISO 8601, UTC): its monotonic start, by one reading of both
    clocks."""
    end_wall: str
    duration_s: float
    """From first submission to last counted token."""
    waves: Int64 | None
    """Waves inside the window; none in load mode `closed`."""
    passes: Int64 | None
    """Whole passes over the prompt set; none in load mode `closed`."""


class Tokens(Model):
    """Counts over the window. Padding is no input token; output tokens are those produced."""

    input: Int64
    """Prompt tokens of the window, without padding."""
    output: Int64
    """Tokens that the engine produced in the window."""
    requests: Int64
    """Requests that ended in the window."""


class PowerSteadiness(Model):
    """Steadiness of power, on means over whole waves of together at least 1 s, of warm-up and
    window."""

    verdict: str
    """As that of the warm-up. Of protocols 1 and 2, and where power was left unread in the window:
    at the end of the warm-up, with `temperature_changes` and `too_short`."""
    span_s: float | None = None
    """Time at the end of the warm-up over which temperature had to be constant."""
    trend_interval: tuple[float, float] | None = None
    """90 % interval of slope × span over the mean power."""
    bound: float | None = None
    """As the bound of the warm-up, of mean power."""
    time_constant_s: float | None = None
    """As that of the warm-up."""
    temperature_range_celsius: float | None = None
    """Highest less lowest temperature of the device that changed most, in `span_s`; None if none
    tells."""


class Warmup(Model):
    """The warm-up, and how steady the window was, judged after it on the waves of both (see
    worker/steady.py). Of protocols 1 and 2: judged before the window, on the last waves."""

    steady: bool
    """True where the verdict is `steady`."""
    capped: bool
    """True where the warm-up ended at its time limit, before its own bound was reached."""
    verdict: str
    """`steady` or `not_steady`; after a warm-up with a cap under 60 s `no_drift_seen`, which is all
    that it can show, `drift_seen`, or `undecided` where the waves scatter too much; or
    `too_few_waves`."""
    waves: Int64
    """Waves of the warm-up."""
    duration_s: float
    """From first submission of the warm-up to the start of the window."""
    first_wave_s: float
    """Duration of the first wave, in which engines compile or capture."""
    throughput_tokens_per_second: list[float]
    """One value for each warm-up wave, in order."""
    wave_ends_s: list[float] = []
    """The end of each warm-up wave, from its first submission; none in older results."""
    coefficient_of_variation: float | None
    """Standard deviation over mean, of the throughput of the judged waves."""
    trend_interval: tuple[float, float] | None
    """90 % interval of slope × span over the mean: the relative change over the judged waves."""
    bound: float | None
    """Bound that was attained: how far the window's mean throughput may lie from the
    steady mean, relative to it; after a warm-up with a cap under 60 s, from the mean of the
    warm-up. Of protocols 1 and 2: equivalence bound of the trend over the tested waves."""
    time_constant_s: float | None = None
    """Slowest exponential approach that the bound covers; None where none was tested."""
    power: PowerSteadiness | None = None
    """None where nothing was metered."""


class Drift(Model):
    """Last third of the window against its first third: relative change, None if too short."""

    throughput_relative: float | None
    """Throughput in the last third of the window against its first third: relative change."""
    power_relative: float | None
    """Power in the last third of the window against its first third: relative change."""
    throughput_scatter_limit: float | None = None
    """Largest change of throughput that a steady window with the same scatter shows."""
    power_scatter_limit: float | None = None
    """Largest change of power that a steady window with the same scatter shows."""


class Phase(Model):
    """One stretch of the measurement's time line, in the order in which they happened."""

    name: str
    """`cool_down`, `host_idle`, `load`, `settle`, `idle`, `warmup`, `window` or `tail`."""
    start_monotonic_s: float
    end_monotonic_s: float


class Flag(Model):
    """Something a reader must know about this result; see `results/codes.py`."""

    code: str
    message: str


class Settings(Model):
    """Settings as declared, as resolved with all defaults, and as the live engine reports them."""

    declared: dict[str, Any]
    resolved: dict[str, Any]
    observed: dict[str, Any]


class PromptSet(Model):
    name: str
    sha256: str
    """SHA-256 of the canonical JSON of the token ids of the prompts."""
    count: Int64
    """Prompts in the set."""
    mean_input_tokens: float
    """Mean length of a prompt, in tokens."""


class ProcessState(Model):
    """Ages and job counts, so that carry-over between measurements can be tested."""

    engine_reused: bool
    """True where the engine process had served an earlier measurement."""
    engine_age_s: float
    """Age of the engine process when the measurement began."""
    engine_jobs: Int64
    """Measurements that the engine process had served before."""
    supervisor_age_s: float
    supervisor_jobs: Int64


class GpuSet(Model):
    """Settings of the GPUs that the campaign made before the engine was loaded; None: as found."""

    power_limit_watts: float | None
    sm_clock_mhz: Int64 | None
    """Highest clock of the multiprocessors, to which it was locked."""
    memory_clock_mhz: Int64 | None
    """Highest clock of the memory, likewise."""
    least_sm_clock_mhz: Int64 | None = None
    """Lowest clock of the multiprocessors, where they were locked to a range."""
    least_memory_clock_mhz: Int64 | None = None
    found_power_limit_watts: float
    """Power limit before the campaign set its own."""


class Environment(Model):
    session_id: str
    """Boot, driver, device and run in one: pairs are formed inside it."""
    run_id: str
    """The run of the workflow that measured it."""
    host: str
    """Name of the machine."""
    cpu_model: str
    """CPU model as the kernel reports it."""
    kernel: str
    """Release of the kernel."""
    device_model: str
    """GPU model, or CPU model where there is no GPU; results are grouped by it."""
    device_uuids: list[str]
    """Identifiers of the devices."""
    power_limit_watts: float | None
    """Enforced power limit of the device; results are grouped by it."""
    gpu_set: GpuSet | None = None
    """Settings that the campaign made; None where it set nothing."""
    driver: str | None
    """Version of the GPU driver."""
    power_modes: str | None = None
    """Power smoothing, workload power profiles, adaptive TGP and EDPp multiplier of the GPU, where
    its driver reports any of them: results under others are never paired."""
    runtime: str
    """`process` or `docker`."""
    shares_host: bool = False
    """True where other sets of GPUs of the host were measured on at the same time."""
    cpu_set: list[int] | None = None
    """Numbers of the CPUs near its set of GPUs, which the engine was bound to; None where it was
    not."""
    variables: dict[str, str] | None = None
    """Environment variables of the user that may change what an engine does, as its process
    inherited them; None in a container, of an attached server, and in older results."""
    environment_hash: str
    image_digest: str | None
    """Digest of the container image."""
    container_engine: str | None = None
    """Engine of the container with its version, such as `Podman 4.3.1`."""
    python_version: str
    """Python version of the engine's environment."""
    engine_version: str
    """Version that the live engine reports."""
    packages_sha256: str
    """SHA-256 of the sorted `name==version` lines of the engine's environment (kept in
    environment/)."""
    model_sha256: str
    """SHA-256 of the sorted `sha256  name` lines of the model's files."""
    code_digest: str
    """SHA-256 of the code that measured."""
    git_commit: str | None
    """Commit of the workflow."""
    git_dirty: bool | None
    """True where the checkout had changes that were not committed."""

    @property
    def variables_in_words(self) -> str | None:
        """`NAME=VALUE` of each variable, joined by `;`; None where they are not known."""
        known = self.variables
        return None if known is None else ";".join(f"{n}={known[n]}" for n in sorted(known))

    @property
    def limit_before_watts(self) -> float | None:
        """Power limit that the campaign met: pairs share it, whatever they set themselves."""
        return self.gpu_set.found_power_limit_watts if self.gpu_set else self.power_limit_watts


class SideFile(Model):
    """A file beside the results, found through its result; a gap is shown where it is absent."""

    path: str
    """Relative to the campaign's results folder."""
    sha256: str


class SampleOutput(Model):
    """The tokens that an engine generated for one prompt."""

    prompt_index: Int64
    output_ids: list[int]
