"""The table of measurements: one row each, with units in the column names.

What was not measured is empty, never 0.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from llm_energy.analysis.actual_order import Places, places, predecessors
from llm_energy.analysis.energy_uncertainty import (
    combined,
    gross_budget,
    net_budget,
    total_offset_limit,
)
from llm_energy.analysis.experiments_table import is_saturated
from llm_energy.analysis.outputs import equal_shares, output_repetition
from llm_energy.analysis.part_columns import HOST, OPEN_LOAD, fields
from llm_energy.analysis.table_columns import (
    Column,
    Dtype,
    Row,
    column_at,
    columns_of,
    series,
    uniform_series,
)
from llm_energy.campaign.experiment_settings import Settings
from llm_energy.campaign.measurement_settings import Measurement
from llm_energy.results.result import Result
from llm_energy.system.files import canonical_json, sha256_of

_LATENCIES = ("time_to_first_token", "inter_token_latency", "end_to_end")
_STATISTICS = ("mean", "p50", "p90", "p95", "p99", "minimum", "maximum")
_OWN = ("campaign", "experiment", "spec_hash", "cycle", "position", "status", "attempt")

COLUMNS = {
    **{name: name for name in (*_OWN, "started", "finished")},
    **fields("environment", "device_model power_limit_watts"),
    **{n: n for n in ("load_mode", "output_tokens_per_second", "requests_per_second")},
    **{
        f"{latency}_{statistic}_s": f"latency.{latency}_s.{statistic}"
        for latency in _LATENCIES
        for statistic in _STATISTICS
    },
    **{f"{latency}_count": f"latency.{latency}_s.count" for latency in _LATENCIES},
    "token_latency_reason": "latency.token_latency_reason",
    "window_start": "window.start_wall",
    **fields("window", "duration_s waves passes", "window_"),
    "input_tokens": "tokens.input",
    "output_tokens": "tokens.output",
    "requests": "tokens.requests",
    **fields("warmup", "verdict steady capped waves duration_s first_wave_s", "warmup_"),
    **fields("warmup", "coefficient_of_variation bound time_constant_s", "warmup_"),
    **OPEN_LOAD,
    "throughput_drift_relative": "drift.throughput_relative",
    "power_drift_relative": "drift.power_relative",
    **fields("drift", "throughput_scatter_limit power_scatter_limit"),
    "energy_joules": "energy.energy_joules",
    **fields("energy", "reason method scope simulated", "energy_"),
    **fields("energy", "joules_per_output_token joules_per_token joules_per_request"),
    **fields("energy", "output_tokens_per_joule mean_power_watts loaded_idle_power_watts"),
    **fields("energy", "energy_above_loaded_idle_joules gpu_cpu_dram_joules"),
    **HOST,
    **fields("energy", "load_energy_joules warmup_energy_joules"),
    **fields("prompts", "sha256 count mean_input_tokens", "prompts_"),
    **fields("process", "engine_reused engine_age_s engine_jobs"),
    **fields("environment", "session_id run_id host cpu_model kernel driver power_modes runtime"),
    **fields("environment", "container_engine python_version engine_version image_digest"),
    **fields("environment", "packages_sha256 model_sha256 code_digest git_commit git_dirty"),
    **{name: name for name in ("protocol_version", "message")},
}
"""Column -> dotted path of the field of `Result` that it is read from and described by; empty where
the path meets None. Behind them come the columns of `Computed`, and one for each resolved setting
and each number of the measuring protocol."""


class Computed(Row):
    """Columns that are worked out from a result, or from all of them."""

    planned_place: int
    """Planned place among the measurements of its run, from 1."""
    actual_place: int
    """Place in which it ran among the measurements of its run, from 1."""
    predecessor: str | None
    """Experiment that ran before it in its run, controls included; empty for a run's first one."""
    request_rate: float | None
    """Rate of arrivals that was requested, in requests per second; of load mode `open` alone."""
    trace: str | None
    """Trace all of whose arrivals were taken, so that no rate was requested."""
    saturated: bool | None
    """True where the queue grew inside the window, so that nothing is averaged with it; of load
    mode `open` alone."""
    device_uuids: str
    """Identifiers of the devices, joined by `;`."""
    variables: str | None
    """Environment variables of the user that may change its engine, joined by `;`."""
    limit_before_watts: float | None
    """Power limit before the campaign set one of its own; the enforced one where it set none."""
    temperature_mean_celsius: float | None
    """Mean over the window and the counted devices."""
    temperature_max_celsius: float | None
    """Greatest over the window, of the hottest counted device."""
    sm_clock_mean_mhz: float | None
    """Mean over the window and the counted devices."""
    sm_clock_min_mhz: float | None
    """Least over the window, of the slowest counted device."""
    throttle_reasons: str | None
    """All that were active at some moment of the window, joined by `;`."""
    prefill_joules_per_input_token: float | None
    """Energy over input tokens, with one output token only, which prefill itself makes."""
    output_equal_share: float | None
    """Share of output tokens before the first that differs from the output of the reference, mean
    over the kept outputs."""
    output_repeated_share: float | None
    """Share of repeated 4-grams of tokens, mean over the kept outputs."""
    tokenizer_sha256: str | None
    """SHA-256 of the declared identity of the tokenizer."""
    weights: str | None
    """Format of the model's files and number format of its weights, as the live engine reports."""
    flags: str
    """Codes of what a reader must know about the measurement, joined by `;`."""
    sensor_gain_limit_relative: float | None
    """The gain of the sensors is taken as right within ± this: their stated limit, or how far
    counter and instant power are apart, if that is more."""
    sensor_offset_limit_watts: float | None
    """The offset of the sensors, over all counted devices, is taken as right within ± this."""
    energy_standard_uncertainty_joules: float | None
    """Standard uncertainty of `energy_joules`: sensors and edges of the window."""
    above_loaded_idle_uncertainty_joules: float | None
    """Standard uncertainty of `energy_above_loaded_idle_joules`."""
    derived_on_reading: str
    """Fields derived because the file is of an older schema version, joined by `;`."""


SETTING = "setting."
BACKEND = f"{SETTING}backend"
OPTION = f"{SETTING}engine_options."
MEASUREMENT = "measurement."


def described_columns() -> dict[str, Column]:
    """Type and meaning of every column but those of settings and of the measuring protocol."""
    fixed = {name: column_at(Result, path) for name, path in COLUMNS.items()}
    return fixed | columns_of(Computed)


def free_column(name: str, dtype: Dtype) -> Column:
    """The column of a resolved setting or of a number of the measuring protocol."""
    for prefix, model in ((SETTING, Settings), (MEASUREMENT, Measurement)):
        if name.startswith(prefix):
            return Column(dtype, column_at(model, name.removeprefix(prefix)).meaning)
    return Column(dtype, "")


def measurements_table(
    results: Sequence[Result],
    reference: str | None = None,
    *,
    everything: Sequence[Result] | None = None,
) -> pd.DataFrame:
    """One row per measurement, in planned order.

    Args:
        reference: experiment that the outputs of the others are compared with.
        everything: the results with those of controls, which ran between them; default: `results`.
    """
    ran = results if everything is None else everything
    before = {_planned(r): name for r, name in zip(ran, predecessors(ran), strict=True)}
    ordered = sorted(results, key=lambda result: (result.position, result.experiment))
    parts: dict[str, list[Any]] = {"": list(ordered)}
    values = {name: _look_up(parts, path) for name, path in COLUMNS.items()}
    computed: dict[str, list[Any]] = {name: [] for name in Computed.model_fields}
    each = zip(ordered, places(ordered), equal_shares(ordered, reference), strict=True)
    for r, place, share in each:
        row = _computed(r, place, share, before[_planned(r)])
        for name, column in computed.items():
            column.append(getattr(row, name))
    values |= computed
    flat: dict[tuple[int, int], dict[str, Any]] = {}
    free = [_free_columns(r, flat) for r in ordered]
    names = dict.fromkeys(name for row in free for name in row)
    del parts, computed  # of ten thousand measurements each list takes room
    described = {name: series(values.pop(name), c) for name, c in described_columns().items()}
    chosen = {name: uniform_series([row.get(name) for row in free]) for name in names}
    return pd.DataFrame(described | chosen, copy=False)


def varying_settings(measurements: pd.DataFrame) -> dict[str, list[Any]]:
    """Settings that take more than one value in the campaign, with their sorted values.

    An engine's option varies where it does on one engine: on another it is another option.
    """
    found = {}
    for name in measurements.columns:
        if isinstance(name, str) and name.startswith(SETTING):
            values = measurements[name].dropna().unique().tolist()
            if len(values) < 2:
                continue
            on_engines = measurements[name].groupby(measurements[BACKEND])
            if not name.startswith(OPTION) or on_engines.nunique().max() > 1:
                found[name.removeprefix(SETTING)] = sorted(values)
    return found


def _free_columns(result: Result, known: dict[tuple[int, int], dict[str, Any]]) -> dict[str, Any]:
    """Resolved settings and numbers of the measuring protocol by column.

    Args:
        known: those of earlier results, whose specifications later ones share.
    """
    key = id(result.settings), id(result.spec)
    if key not in known:
        known[key] = _prefixed(SETTING, result.settings.resolved)
        known[key] |= _prefixed(MEASUREMENT, result.spec.get("measurement", {}))
    return known[key]


def _look_up(parts: dict[str, list[Any]], path: str) -> list[Any]:
    """The dotted name of each result; None where a part of it is.

    Args:
        parts: by path, what was looked up before; under no path the results themselves.
    """
    if path not in parts:
        above, _, name = path.rpartition(".")
        whole = _look_up(parts, above)
        parts[path] = [None if part is None else getattr(part, name) for part in whole]
    return parts[path]


def _planned(result: Result) -> tuple[str, str, int]:
    return result.experiment, result.spec_hash, result.cycle


def _computed(
    result: Result, place: Places, equal_share: float | None, predecessor: str | None
) -> Computed:
    states = [d.state for d in result.energy.devices if d.counted and d.state]
    joules, tokens, observed = result.energy.energy_joules, result.tokens, result.settings.observed
    one_token = result.settings.resolved.get("output_tokens") == 1
    prefill_alone = one_token and result.open_load is None  # else idle gaps are part of it
    identity = result.spec.get("tokenizer")
    number_format = observed.get("model_file_type") or observed.get("dtype")
    weights = (result.spec.get("model", {}).get("format"), number_format)
    return Computed(
        planned_place=place.planned,
        actual_place=place.actual,
        predecessor=predecessor,
        request_rate=(rate := result.settings.resolved.get("request_rate")),
        trace=result.settings.resolved.get("trace") if rate is None else None,
        saturated=is_saturated(result),
        device_uuids=_joined(result.environment.device_uuids),
        variables=result.environment.variables_in_words,
        limit_before_watts=result.environment.limit_before_watts,
        temperature_mean_celsius=_over(fmean, (s.temperature_mean_celsius for s in states)),
        temperature_max_celsius=_over(max, (s.temperature_max_celsius for s in states)),
        sm_clock_mean_mhz=_over(fmean, (s.sm_clock_mean_mhz for s in states)),
        sm_clock_min_mhz=_over(min, (s.sm_clock_min_mhz for s in states)),
        throttle_reasons=_joined(r for s in states for r in s.throttle_reasons) if states else None,
        prefill_joules_per_input_token=joules / tokens.input
        if prefill_alone and joules is not None and tokens and tokens.input
        else None,
        output_equal_share=equal_share,
        output_repeated_share=output_repetition(result),
        tokenizer_sha256=sha256_of(identity) if identity else None,
        weights=" ".join(part for part in weights if part) or None,
        flags=_joined(flag.code for flag in result.flags),
        sensor_gain_limit_relative=result.energy.gain_limit_relative,
        sensor_offset_limit_watts=total_offset_limit(result.energy),
        energy_standard_uncertainty_joules=combined(gross_budget(result)),
        above_loaded_idle_uncertainty_joules=combined(net_budget(result)),
        derived_on_reading=_joined(result.derived_on_reading),
    )


def _joined(texts: Iterable[str]) -> str:
    return ";".join(sorted(set(texts)))


def _over(
    statistic: Callable[[Sequence[float]], float], values: Iterable[float | None]
) -> float | None:
    """A statistic over the devices that report a value; None where none does."""
    known = [value for value in values if value is not None]
    return statistic(known) if known else None


def _prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings become dotted names; lists become their JSON text."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _prefixed(f"{prefix}{key}.", value)
        else:
            flat[f"{prefix}{key}"] = canonical_json(value) if isinstance(value, list) else value
    return flat
