"""The data dictionary: what every column of the tables means, with its type and unit."""

import re
from collections.abc import Iterator

import pandas as pd

from llm_energy.analysis.summary import Summary
from llm_energy.analysis.summary_files import TABLES
from llm_energy.results.metrics import METRICS

MEASUREMENT = {
    "campaign": "Name of the campaign.",
    "experiment": "Name of the experiment: one configuration.",
    "spec_hash": "First digits of the SHA-256 of all that determines the measurement.",
    "cycle": "Repetition of all experiments, from 1.",
    "position": "Rank in the planned order of the campaign, from 0.",
    "status": "`completed` or `out_of_memory`.",
    "attempt": "Which attempt gave the result, from 1; earlier ones failed.",
    "started": "When the measuring job began (ISO 8601, UTC).",
    "finished": "When the measuring job ended (ISO 8601, UTC).",
    "device_model": "GPU model, or CPU model where there is no GPU; results are grouped by it.",
    "power_limit_watts": "Enforced power limit of the device; results are grouped by it.",
    "load_mode": "`waves` (submit a batch, wait for it) or `closed` (constant concurrency).",
    "output_tokens_per_second": "Throughput: output tokens of the window over its duration.",
    "requests_per_second": "Requests that ended in the window over its duration.",
    "window_start": "When the window opened (ISO 8601, UTC).",
    "window_duration_s": "First submission to last counted token.",
    "window_waves": "Waves inside the window; empty in load mode `closed`.",
    "window_passes": "Whole passes over the prompt set; empty in load mode `closed`.",
    "input_tokens": "Prompt tokens of the window, without padding.",
    "output_tokens": "Tokens that the engine produced in the window.",
    "requests": "Requests that ended in the window.",
    "warmup_verdict": "`steady`, `not_steady` or `too_few_waves`.",
    "warmup_steady": "Whether the steady state was shown before the window opened.",
    "warmup_capped": "Whether warm-up ended at its time limit.",
    "warmup_waves": "Waves of the warm-up.",
    "warmup_duration_s": "From first submission of the warm-up to the start of the window.",
    "warmup_first_wave_s": "Of the first wave, in which engines compile or capture.",
    "warmup_coefficient_of_variation": "Of the throughput of the last warm-up waves.",
    "warmup_bound": "Equivalence bound that was applied to the trend: ±bound, relative.",
    "throughput_drift_relative": "Last third of the window against its first third.",
    "power_drift_relative": "Last third of the window against its first third.",
    "energy_joules": "Gross energy of the window, summed over the counted devices.",
    "energy_reason": "Reason code where there is no energy.",
    "energy_method": "`counter`, `integrated_instant` or `integrated_average`.",
    "energy_scope": "What the sensor covers: `gpu_board`, `module`, `cpu_package`, `dram`, `wall`.",
    "energy_simulated": "Whether the sensor is a simulator, whose numbers must not be quoted.",
    "derived_on_reading": "Fields derived because the file is of an older schema version.",
    "energy_standard_uncertainty_joules": "Of `energy_joules`: sensor and edges of the window.",
    "joules_per_output_token": "`energy_joules` over output tokens.",
    "joules_per_token": "`energy_joules` over input and output tokens.",
    "joules_per_request": "`energy_joules` over requests.",
    "output_tokens_per_joule": "Output tokens over `energy_joules`.",
    "mean_power_watts": "`energy_joules` over the duration of the window.",
    "loaded_idle_power_watts": "Power with the model loaded and no request.",
    "energy_above_loaded_idle_joules": "`energy_joules` minus loaded idle power × duration; may be "
    "negative.",
    "above_loaded_idle_uncertainty_joules": "Standard uncertainty of the energy above loaded idle.",
    "gpu_cpu_dram_joules": "GPUs, CPU packages and memory together; empty unless all can be read.",
    "load_energy_joules": "Energy of loading the model.",
    "warmup_energy_joules": "Energy of the warm-up.",
    "prompts_sha256": "Of the canonical JSON of the prompts’ token ids.",
    "prompts_count": "Prompts in the set.",
    "prompts_mean_input_tokens": "Mean length of a prompt, in tokens.",
    "engine_reused": "Whether the engine process had served an earlier measurement.",
    "engine_age_s": "Of the engine process when the measurement began.",
    "engine_jobs": "Measurements that the engine process had served before.",
    "session_id": "Boot, driver, device and run in one: pairs are formed inside it.",
    "run_id": "The run of the workflow that measured it.",
    "host": "Name of the machine.",
    "cpu_model": "As the kernel says it.",
    "kernel": "Release of the kernel.",
    "driver": "Version of the GPU driver.",
    "runtime": "`process` or `docker`.",
    "python_version": "Of the engine’s environment.",
    "engine_version": "As the live engine says it.",
    "image_digest": "Of the container image.",
    "packages_sha256": "Of the sorted `name==version` lines of the engine’s environment.",
    "model_sha256": "Of the sorted `sha256  name` lines of the model’s files.",
    "code_digest": "SHA-256 of the code that measured.",
    "git_commit": "Commit of the workflow.",
    "git_dirty": "Whether the checkout had changes that were not committed.",
    "protocol_version": "Of the measuring protocol.",
    "message": "What the engine said where memory ran out.",
    "planned_place": "Planned place among the measurements of its run, from 1.",
    "actual_place": "Place in which it ran among the measurements of its run, from 1.",
    "temperature_mean_celsius": "Over the window and the counted devices.",
    "temperature_max_celsius": "Over the window, of the hottest counted device.",
    "sm_clock_mean_mhz": "Over the window and the counted devices.",
    "sm_clock_min_mhz": "Over the window, of the slowest counted device.",
    "throttle_reasons": "All that were active at some moment of the window.",
    "prefill_joules_per_input_token": "Energy over input tokens, with one output token only.",
    "output_equal_share": "Share of output tokens before the first that differs from the output "
    "of the reference, over the kept outputs.",
    "output_repeated_share": "Share of repeated 4-grams of tokens, over the kept outputs.",
    "tokenizer_sha256": "Of the declared identity of the tokenizer.",
    "device_uuids": "Identifiers of the devices, joined by `;`.",
    "weights": "Format of the model’s files and number format of its weights.",
    "flags": "Codes of what a reader must know about the measurement, joined by `;`.",
    "sensor_gain_limit_relative": "The sensor’s gain is taken as right within ± this.",
    "sensor_offset_limit_watts": "The sensor’s offset is taken as right within ± this.",
    "electricity_price_*_per_kwh": "Assumed by the campaign.",
    "carbon_intensity_grams_per_kwh": "Assumed by the campaign.",
    "power_usage_effectiveness": "Assumed by the campaign: energy of the data centre over that of "
    "its computers.",
    "cost_*_per_million_output_tokens": "Energy of a million output tokens × assumed price.",
    "carbon_grams_per_million_output_tokens": "Energy of a million output tokens × assumed carbon "
    "intensity.",
    "time_to_first_token_*": "From submission to first token, over the requests of the window.",
    "inter_token_latency_*": "Between successive tokens of a request, over the window.",
    "end_to_end_*": "From submission to last token, over the requests of the window.",
    "setting.*": "Resolved setting of the experiment.",
    "measurement.*": "Number of the measuring protocol, as the campaign sets it.",
}
"""Column of the table of measurements -> meaning; `*` stands for anything."""

EXPERIMENT = {
    "metric": "Column of the table of measurements that is summarised.",
    "unit": "Of mean, median, intervals and the like.",
    "n": "Cycles that have a value.",
    "mean": "Over cycles.",
    "standard_deviation": "Over cycles; empty for one cycle.",
    "coefficient_of_variation": "Standard deviation over the magnitude of the mean.",
    "median": "Over cycles.",
    "minimum": "Least value of a cycle.",
    "maximum": "Greatest value of a cycle.",
    "t_*": "End of the 95 % Student t interval of the mean.",
    "bca_*": "End of the 95 % BCa bootstrap interval of the mean; from 10 cycles on.",
    "two_stage_*": "End of the 95 % interval of the mean by Stein’s two stages.",
    "outlying_cycle": "Cycle that lies far from the others; it is not dropped.",
    "relative_half_width": "Half the width of the t interval over the magnitude of the mean.",
    "geometric_mean": "Over cycles.",
    "log_t_*": "End of the 95 % log-t interval of the geometric mean (not of the mean).",
    "total_standard_uncertainty": "Of the mean: spread over cycles and sensor together.",
    "total_degrees_of_freedom": "Of the total uncertainty (Welch-Satterthwaite).",
    "total_*": "End of the 95 % interval of the mean with the sensor’s uncertainty.",
    "cycles_needed": "For ±2 %, taking the spread as known.",
    "cycles_needed_stein": "For ±2 %, whatever the true spread is (Stein).",
}
POWER = {
    "device": "Identifier of the metered device.",
    "quantity": "What was read: the column of the power series.",
    "start_s": "Start of the first stretch, from the start of the window.",
    "step_s": "Length of a stretch.",
    "least_watts": "Least power of each stretch, a list.",
    "greatest_watts": "Greatest power of each stretch, a list.",
    "phases": "Names of the phases of the measurement, a list.",
    "phase_starts_s": "Their starts, from the start of the window, a list.",
    "phase_ends_s": "Their ends, from the start of the window, a list.",
}
LATENCIES = {
    "latency": "`time_to_first_token` or `inter_token_latency`.",
    "low_s": "Lower edge of the bin.",
    "high_s": "Upper edge of the bin.",
    "count": "How often a latency in the bin occurred, all cycles together.",
}
MEANINGS = {
    "measurements": MEASUREMENT,
    "experiments": EXPERIMENT | MEASUREMENT,
    "power": POWER | MEASUREMENT,
    "latencies": LATENCIES | MEASUREMENT,
}
UNITS = {
    "joules": "J",
    "watts": "W",
    "s": "s",
    "relative": "ratio",
    "output_tokens_per_second": "tokens/s",
    "requests_per_second": "requests/s",
    "tokens": "tokens",
    "bytes": "B",
    "hz": "Hz",
    "mhz": "MHz",
    "celsius": "°C",
    "share": "ratio",
    "percent": "%",
    "coefficient_of_variation": "ratio",
    "relative_half_width": "ratio",
    "grams_per_kwh": "g CO2e/kWh",
}
"""End of a column’s name -> unit."""

_METRIC_UNITS = {metric.column: metric.unit for metric in METRICS}


def dictionary(summary: Summary) -> pd.DataFrame:
    """One row for each column of each table: table, column, type, unit, meaning."""
    return pd.DataFrame(
        [
            (table, column, _type(getattr(summary, table)[column]), unit(column), meaning)
            for table in TABLES
            for column, meaning in _meanings(table, getattr(summary, table))
        ],
        columns=["table", "column", "type", "unit", "meaning"],
    )


def meaning(table: str, column: str) -> str:
    """What a column means; empty where the dictionary does not know it."""
    known = MEANINGS[table]
    if column in known:
        return known[column]
    fitting = (text for name, text in known.items() if _fits(name, column))
    return next(fitting, "")


def unit(column: str) -> str:
    """From the column's name; empty where it has none, or its own column says it."""
    if column in _METRIC_UNITS:
        return _METRIC_UNITS[column]
    if column == "n" or column.endswith(("_count", "_sha256")):
        return ""
    return next((u for end, u in UNITS.items() if re.search(rf"(^|[._]){end}$", column)), "")


def _meanings(table: str, frame: pd.DataFrame) -> Iterator[tuple[str, str]]:
    for column in frame.columns:
        yield column, meaning(table, column)


def _fits(pattern: str, column: str) -> bool:
    return "*" in pattern and bool(re.fullmatch(re.escape(pattern).replace(r"\*", ".+"), column))


def _type(column: pd.Series) -> str:
    name = str(column.dtype).lower()
    if "bool" in name:
        return "true or false"
    if "int" in name:
        return "whole number"
    if "float" in name:
        return "number"
    return "list" if column.name in ("phases",) or str(column.name).endswith("_watts") else "text"
