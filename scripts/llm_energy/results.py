"""The result of one measurement: its model, its file, and how it is read and written.

A result file is the completion marker of its measurement: it exists only when it is complete and
valid. What was not measured is `None` with a reason beside it, never 0. Times called
`*_monotonic_s` are seconds on CLOCK_MONOTONIC, which the host and its containers share.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

SCHEMA_VERSION: Final = 1
"""Raised when the layout of a result changes in a way that a reader must know about."""


class Model(BaseModel):
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


class DeviceState(Model):
    """Thermal state and clocks of one device over the window; None where it does not say."""

    temperature_mean_celsius: float | None
    temperature_max_celsius: float | None
    sm_clock_mean_mhz: float | None
    sm_clock_min_mhz: float | None
    throttle_reasons: list[str]
    """Names of all that were active at some moment, such as `software_power_cap`."""
    performance_states: list[int]
    """All that were seen; 0 is the fastest."""


class DeviceEnergy(Model):
    """Energy of one metered device over the window."""

    device: str
    """GPU UUID, or RAPL domain such as `package-0`."""
    scope: str
    energy_joules: float | None
    reason: str | None
    counter_joules: float | None
    integrated_instant_joules: float | None
    integrated_average_joules: float | None
    counted: bool = True
    """False for devices of the host that are listed but are no part of the sum."""
    loaded_idle_power_watts: float | None = None
    counter_over_instant: float | None = None
    """Energy by the counter over that by integrated instant power, in the window."""
    counter_over_instant_idle: float | None = None
    """The same while the loaded engine was idle."""
    update_period_s: float | None = None
    """How often the slower of counter and instant power was seen to update."""
    state: DeviceState | None = None


class Energy(Model):
    """Energy over the window. Every None has its `reason`."""

    energy_joules: float | None
    """Gross energy, primary; summed over the counted `devices`, None if one is missing."""
    reason: str | None
    """Reason code where `energy_joules` is None, such as `no_meter`."""
    method: str | None
    """`counter`, `integrated_instant` or `integrated_average`; one for the whole campaign."""
    scope: str | None
    """`gpu_board`, `module`, `cpu_package`, `dram` or `wall`."""
    mean_power_watts: float | None
    loaded_idle_power_watts: float | None
    loaded_idle_standard_error_watts: float | None
    energy_above_loaded_idle_joules: float | None
    """Gross minus loaded idle power × duration; may be negative, never clamped."""
    standard_uncertainty_joules: float | None
    """Of `energy_joules`."""
    uncertainty_budget_joules: dict[str, float]
    """Of `energy_joules`: standard uncertainties of `gain`, `offset` and `edges`."""
    above_loaded_idle_uncertainty_joules: float | None = None
    """Of `energy_above_loaded_idle_joules`."""
    above_loaded_idle_budget_joules: dict[str, float] = {}
    """Of `energy_above_loaded_idle_joules`: `gain` (once, of the difference), `edges` and
    `baseline`; the sensor's offset cancels."""
    host_idle_power_watts: float | None = None
    """Of the counted devices without an engine, once in each run and cycle, for its drift alone;
    None where it was not taken, as while an engine stayed loaded."""
    gpu_cpu_dram_joules: float | None = None
    """GPUs counted, CPU packages and memory together; None unless all can be read."""
    joules_per_output_token: float | None
    joules_per_token: float | None
    joules_per_request: float | None
    output_tokens_per_joule: float | None
    load_energy_joules: float | None
    warmup_energy_joules: float | None
    devices: list[DeviceEnergy]
    simulated: bool
    """True where the sensor is a simulator: such numbers must never be quoted."""


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


class Result(Model):
    """One measurement: experiment × cycle."""

    schema_version: Literal[1]
    protocol_version: int
    """Of the measuring protocol; results of different versions are different measurements."""
    status: Literal["completed", "out_of_memory"]
    """`out_of_memory` is an outcome too: then there is no window."""
    campaign: str
    experiment: str
    cycle: int
    """From 1."""
    position: int
    """Rank in the planned order of the campaign, from 0."""
    started: str
    """ISO 8601, UTC: when the measuring job began."""
    finished: str
    attempt: int
    """From 1; failed ones have records under `failures/`."""
    spec_hash: str
    """Of `spec`: part of the path of this file."""
    spec: dict[str, Any]
    """All that identifies what was measured, and is known before it."""
    settings: Settings
    """As declared, as resolved with all defaults, and as the live engine told them."""
    prompts: PromptSet
    load_mode: Literal["waves", "closed"]
    phases: list[Phase]
    """The time line of the measurement."""
    environment: Environment
    """Engine, host, devices and code."""
    process: ProcessState | None
    """Age of backend and engine process, and how many jobs they had served."""
    window: Window | None
    tokens: Tokens | None
    output_tokens_per_second: float | None
    """Output tokens of the window over its duration."""
    requests_per_second: float | None
    """Requests of the window over its duration."""
    latency: Latency | None
    warmup: Warmup | None
    drift: Drift | None
    """Inside the window."""
    energy: Energy
    flags: list[Flag]
    """What a reader must know of this result."""
    sample_outputs: list[SampleOutput]
    """Output token ids of the first 3 prompts."""
    side_files: dict[str, SideFile]
    """`requests` and, where metered, `series`."""
    message: str | None = None
    """For status `out_of_memory`: what the engine said."""


class ResultError(ValueError):
    """A result file that cannot be used; the message names the file and says why."""


def read_result(path: Path) -> Result:
    """Read and check one result file.

    Raises:
        ResultError: not readable, not JSON, or not of this schema version.
    """
    try:
        return Result.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ResultError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ResultError(f"{path}: not a result: {where}: {first['msg']}") from error


def read_planned_result(campaign_folder: Path, path: str) -> Result:
    """A result that is valid and is the one that its path says.

    Args:
        path: `measurements/E/S/cycle-N.json`, relative to `campaign_folder`.

    Raises:
        ResultError: it is not.
    """
    file = campaign_folder / path
    result = read_result(file)
    _, experiment, spec_hash, cycle = path.removesuffix(".json").split("/")
    claims = {
        "experiment": (result.experiment, experiment),
        "spec hash": (result.spec_hash, spec_hash),
        "cycle": (f"cycle-{result.cycle:02d}", cycle),
        "hash of its spec": (sha256_of(result.spec)[: len(spec_hash)], spec_hash),
    }
    for name, (found, expected) in claims.items():
        if found != expected:
            raise ResultError(f"{file}: its {name} is {found}, its path says {expected}")
    return result


def write_result(path: Path, result: Result) -> None:
    """Write one result as the completion marker that it is: whole or not at all."""
    write_atomically(path, result.model_dump_json(indent=1).encode() + b"\n")


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` under a temporary name in the same folder, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, so that equal values hash equal."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256_of(value: Any) -> str:
    """Hex sha256 of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
