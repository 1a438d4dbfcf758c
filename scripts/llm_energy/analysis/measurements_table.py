"""The table of measurements: one row each, with units in the column names.

What was not measured is empty, never 0.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

import pandas as pd

from llm_energy.analysis.actual_order import places
from llm_energy.analysis.energy_uncertainty import (
    combined,
    gross_budget,
    net_budget,
    total_offset_limit,
)
from llm_energy.analysis.outputs import equal_shares, output_repetition
from llm_energy.results.metrics import PREFILL
from llm_energy.results.result import Result
from llm_energy.system.files import canonical_json, sha256_of

Type = Literal["string", "Int64", "Float64", "boolean"]


@dataclass(frozen=True)
class Column:
    name: str
    source: str
    """Dotted path of attributes in a `Result`; empty where the path meets None."""
    type: Type = "Float64"


_LATENCIES = ("time_to_first_token", "inter_token_latency", "end_to_end")
_STATISTICS = ("mean", "p50", "p90", "p95", "p99", "minimum", "maximum")

COLUMNS = (
    Column("campaign", "campaign", "string"),
    Column("experiment", "experiment", "string"),
    Column("spec_hash", "spec_hash", "string"),
    Column("cycle", "cycle", "Int64"),
    Column("position", "position", "Int64"),
    Column("status", "status", "string"),
    Column("attempt", "attempt", "Int64"),
    Column("started", "started", "string"),
    Column("finished", "finished", "string"),
    Column("device_model", "environment.device_model", "string"),
    Column("power_limit_watts", "environment.power_limit_watts"),
    Column("load_mode", "load_mode", "string"),
    Column("output_tokens_per_second", "output_tokens_per_second"),
    Column("requests_per_second", "requests_per_second"),
    *(
        Column(f"{latency}_{statistic}_s", f"latency.{latency}_s.{statistic}")
        for latency in _LATENCIES
        for statistic in _STATISTICS
    ),
    *(Column(f"{latency}_count", f"latency.{latency}_s.count", "Int64") for latency in _LATENCIES),
    Column("window_start", "window.start_wall", "string"),
    Column("window_duration_s", "window.duration_s"),
    Column("window_waves", "window.waves", "Int64"),
    Column("window_passes", "window.passes", "Int64"),
    Column("input_tokens", "tokens.input", "Int64"),
    Column("output_tokens", "tokens.output", "Int64"),
    Column("requests", "tokens.requests", "Int64"),
    Column("warmup_verdict", "warmup.verdict", "string"),
    Column("warmup_steady", "warmup.steady", "boolean"),
    Column("warmup_capped", "warmup.capped", "boolean"),
    Column("warmup_waves", "warmup.waves", "Int64"),
    Column("warmup_duration_s", "warmup.duration_s"),
    Column("warmup_first_wave_s", "warmup.first_wave_s"),
    Column("warmup_coefficient_of_variation", "warmup.coefficient_of_variation"),
    Column("warmup_bound", "warmup.bound"),
    Column("throughput_drift_relative", "drift.throughput_relative"),
    Column("power_drift_relative", "drift.power_relative"),
    Column("energy_joules", "energy.energy_joules"),
    Column("energy_reason", "energy.reason", "string"),
    Column("energy_method", "energy.method", "string"),
    Column("energy_scope", "energy.scope", "string"),
    Column("energy_simulated", "energy.simulated", "boolean"),
    Column("joules_per_output_token", "energy.joules_per_output_token"),
    Column("joules_per_token", "energy.joules_per_token"),
    Column("joules_per_request", "energy.joules_per_request"),
    Column("output_tokens_per_joule", "energy.output_tokens_per_joule"),
    Column("mean_power_watts", "energy.mean_power_watts"),
    Column("loaded_idle_power_watts", "energy.loaded_idle_power_watts"),
    Column("energy_above_loaded_idle_joules", "energy.energy_above_loaded_idle_joules"),
    Column("gpu_cpu_dram_joules", "energy.gpu_cpu_dram_joules"),
    Column("load_energy_joules", "energy.load_energy_joules"),
    Column("warmup_energy_joules", "energy.warmup_energy_joules"),
    Column("prompts_sha256", "prompts.sha256", "string"),
    Column("prompts_count", "prompts.count", "Int64"),
    Column("prompts_mean_input_tokens", "prompts.mean_input_tokens"),
    Column("engine_reused", "process.engine_reused", "boolean"),
    Column("engine_age_s", "process.engine_age_s"),
    Column("engine_jobs", "process.engine_jobs", "Int64"),
    Column("session_id", "environment.session_id", "string"),
    Column("run_id", "environment.run_id", "string"),
    Column("host", "environment.host", "string"),
    Column("cpu_model", "environment.cpu_model", "string"),
    Column("kernel", "environment.kernel", "string"),
    Column("driver", "environment.driver", "string"),
    Column("runtime", "environment.runtime", "string"),
    Column("python_version", "environment.python_version", "string"),
    Column("engine_version", "environment.engine_version", "string"),
    Column("image_digest", "environment.image_digest", "string"),
    Column("packages_sha256", "environment.packages_sha256", "string"),
    Column("model_sha256", "environment.model_sha256", "string"),
    Column("code_digest", "environment.code_digest", "string"),
    Column("git_commit", "environment.git_commit", "string"),
    Column("git_dirty", "environment.git_dirty", "boolean"),
    Column("protocol_version", "protocol_version", "Int64"),
    Column("message", "message", "string"),
)
"""The fixed columns, in order. Behind them come `planned_place` and `actual_place` (of a
measurement among those of its run, from 1), those of `STATE_COLUMNS`,
`prefill_joules_per_input_token`, `output_equal_share` (tokens until the first that differs from the
reference's output) and `output_repeated_share` (of 4-grams), means over the kept outputs,
`device_uuids`, `tokenizer_sha256` (of its
declared identity), `weights` (format and number format of the model's files) and `flags` (codes,
joined by `;`), those of `SENSOR_COLUMNS`, `derived_on_reading` and one column `setting.<key>` or
`measurement.<key>` for each resolved setting and each number of the measuring protocol."""

STATE_COLUMNS: dict[str, Type] = {
    "temperature_mean_celsius": "Float64",
    "temperature_max_celsius": "Float64",
    "sm_clock_mean_mhz": "Float64",
    "sm_clock_min_mhz": "Float64",
    "throttle_reasons": "string",
}
"""Of the counted devices over the window: mean over devices, greatest, least or all of them."""

SENSOR_COLUMNS: dict[str, Callable[[Result], float | None]] = {
    "sensor_gain_limit_relative": lambda result: result.energy.gain_limit_relative,
    "sensor_offset_limit_watts": lambda result: total_offset_limit(result.energy),
    "energy_standard_uncertainty_joules": lambda result: combined(gross_budget(result)),
    "above_loaded_idle_uncertainty_joules": lambda result: combined(net_budget(result)),
}
"""Limits of the power sensors, the offset over all counted devices, and what follows from them."""

SETTING = "setting."
BACKEND = f"{SETTING}backend"
OPTION = f"{SETTING}engine_options."


def measurements_table(results: Sequence[Result], reference: str | None = None) -> pd.DataFrame:
    """One row per measurement, in planned order.

    Args:
        reference: experiment whose outputs those of the others are held against.
    """
    ordered = sorted(results, key=lambda result: (result.position, result.experiment))
    fixed = {
        column.name: pd.Series(_look_up(ordered, column.source), dtype=column.type)
        for column in COLUMNS
    }
    found = places(ordered)
    fixed["planned_place"] = pd.Series([place.planned for place in found], dtype="Int64")
    fixed["actual_place"] = pd.Series([place.actual for place in found], dtype="Int64")
    fixed["device_uuids"] = _joined([r.environment.device_uuids for r in ordered])
    for name, type_ in STATE_COLUMNS.items():
        states = [_state(r, name) for r in ordered]
        fixed[name] = pd.Series(states, dtype=type_)
    prefill = [_prefill(r) for r in ordered]
    fixed[PREFILL.column] = pd.Series(prefill, dtype="Float64")
    same, repeated = equal_shares(ordered, reference), [output_repetition(r) for r in ordered]
    fixed["output_equal_share"] = pd.Series(same, dtype="Float64")
    fixed["output_repeated_share"] = pd.Series(repeated, dtype="Float64")
    fixed["tokenizer_sha256"] = pd.Series([_tokenizer(r) for r in ordered], dtype="string")
    fixed["weights"] = pd.Series([_weights(r) for r in ordered], dtype="string")
    fixed["flags"] = _joined([[flag.code for flag in r.flags] for r in ordered])
    for name, value_of in SENSOR_COLUMNS.items():
        fixed[name] = pd.Series([value_of(r) for r in ordered], dtype="Float64")
    fixed["derived_on_reading"] = _joined([r.derived_on_reading for r in ordered])
    free = [
        _prefixed(SETTING, r.settings.resolved)
        | _prefixed("measurement.", r.spec.get("measurement", {}))
        for r in ordered
    ]
    names = dict.fromkeys(name for row in free for name in row)
    return pd.DataFrame(fixed | {name: _uniform([row.get(name) for row in free]) for name in names})


def varying_settings(measurements: pd.DataFrame) -> dict[str, list[Any]]:
    """Settings that take more than one value in the campaign, with their sorted values.

    An engine's option varies where it does on one engine: the same name on another is another
    option.
    """
    found = {}
    for name in measurements.columns:
        if isinstance(name, str) and name.startswith(SETTING):
            by_engine = measurements.groupby(BACKEND)[name].nunique().max()
            values = measurements[name].dropna().unique().tolist()
            if len(values) > 1 and (by_engine > 1 or not name.startswith(OPTION)):
                found[name.removeprefix(SETTING)] = sorted(values)
    return found


def _look_up(results: Iterable[Result], path: str) -> list[Any]:
    """The dotted name of each result; None where a part of it is."""
    found: list[Any] = list(results)
    for name in path.split("."):
        found = [None if value is None else getattr(value, name) for value in found]
    return found


def _joined(lists: Sequence[Sequence[str]]) -> pd.Series:
    return pd.Series([";".join(sorted(set(each))) for each in lists], dtype="string")


def _state(result: Result, name: str) -> float | str | None:
    """Thermal state and clocks over the counted devices; None where none of them says."""
    states = [d.state for d in result.energy.devices if d.counted and d.state]
    if name == "throttle_reasons":
        reasons = {reason for state in states for reason in state.throttle_reasons}
        return ";".join(sorted(reasons)) if states else None
    known = [value for state in states if (value := getattr(state, name)) is not None]
    if not known:
        return None
    extreme = {"temperature_max_celsius": max, "sm_clock_min_mhz": min}.get(name, fmean)
    return float(extreme(known))


def _prefill(result: Result) -> float | None:
    """Energy per input token where a request has one output token, which prefill itself makes."""
    joules, tokens = result.energy.energy_joules, result.tokens
    if result.settings.resolved.get("output_tokens") != 1 or joules is None or not tokens:
        return None
    return joules / tokens.input if tokens.input else None


def _tokenizer(result: Result) -> str | None:
    identity = result.spec.get("tokenizer")
    return sha256_of(identity) if identity else None


def _weights(result: Result) -> str | None:
    """Format of the model's files and number format of its weights, as the live engine said."""
    observed = result.settings.observed
    told = (
        result.spec.get("model", {}).get("format"),
        observed.get("model_file_type") or observed.get("dtype"),
    )
    return " ".join(part for part in told if part) or None


def _prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings become dotted names; lists become their JSON text."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _prefixed(f"{prefix}{key}.", value)
        else:
            flat[f"{prefix}{key}"] = canonical_json(value) if isinstance(value, list) else value
    return flat


def _uniform(values: Sequence[Any]) -> pd.Series:
    """A column of one type, whatever types its values have."""
    types = {type(value) for value in values if value is not None}
    dtypes: dict[frozenset[type], Type] = {
        frozenset({bool}): "boolean",
        frozenset({int}): "Int64",
        frozenset({float}): "Float64",
        frozenset({int, float}): "Float64",
    }
    dtype = dtypes.get(frozenset(types), "string")
    if dtype == "string":
        values = [None if value is None else str(value) for value in values]
    return pd.Series(values, dtype=dtype)
