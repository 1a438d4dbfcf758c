"""Checks of one result against its raw data: everything that these determine is computed again."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llm_energy.analysis import open_checks
from llm_energy.campaign.identity import PROTOCOL_VERSION
from llm_energy.measurement import flags
from llm_energy.measurement.open_queue import idle_spans
from llm_energy.measurement.request_numbers import request_numbers
from llm_energy.measurement.steadiness import judged
from llm_energy.measurement.window import RequestRecord
from llm_energy.measurement.window_drift import power_scatter_limit, with_power
from llm_energy.power.accounting import EnergyAccount, account_energy, for_reason, unsampled
from llm_energy.power.series import Series
from llm_energy.power.series_file import read_identity, read_series
from llm_energy.results.codes import OF_ATTACHED, SAMPLER_OFF
from llm_energy.results.energy import Energy
from llm_energy.results.parts import Drift, Latency
from llm_energy.results.result import Result
from llm_energy.results.side_files import read_requests

PRECISION = 1e-6
"""Relative difference above which two ways to the same number contradict each other: far above the
rounding of arithmetic, far below what any number here is known to."""

NOTHING = 1e-12
"""Numbers nearer than this are equal: changes and differences may be 0 but for rounding."""

NO_SERIES = "without a power series there is"

DETERMINED_FLAGS = {
    "throughput_drift",
    "short_window",
    "alias_risk",
    "power_drift",
    "power_spike",
    "power_limit_changed",
    "power_capped",
    "slowed_down",
    "sampling_gap",
    "late_reading",
    "slow_sampling",
}
"""Flags that follow from result and raw data. Others depend on what no file keeps, such as the
processes on a GPU."""


def differences(folder: Path, result: Result) -> Iterator[str]:
    """Yield a sentence for each value that differs from what the raw data of the result give.

    The definitions of a measuring protocol hold for its own results. Of results of an earlier one,
    only counts, times, drift and the energy of the window are computed again.

    Args:
        folder: the campaign's results folder; the side files are whole (see `verify.py`).
    """
    files = {name: folder / file.path for name, file in result.side_files.items()}
    current = result.protocol_version == PROTOCOL_VERSION
    latency, drift, account = None, None, EnergyAccount(result.energy)
    series = read_series(files["series"]) if "series" in files else None
    if "requests" in files and result.window is not None:
        requests, lengths = read_requests(files["requests"])
        numbers = _of_requests(result, requests, lengths)
        latency, drift = numbers["latency"], numbers["drift"]
        if current and result.warmup is None:
            yield "it has a window without a warm-up"
        elif current:
            numbers["warmup"] = judged(result, requests, series).model_dump()
        yield from _unlike("its requests give", numbers, _stated(result))
        if result.open_load is not None:
            span = (result.window.start_monotonic_s, result.window.end_monotonic_s)
            idle = idle_spans(requests, span)
            parts = _account(result, series, latency, idle).parts_joules
            yield from open_checks.differences(result, requests, idle_joules=parts)
    elif result.window is not None and current:
        yield "it has a window without requests"
    if series is not None:
        account = _account(result, series, latency)
        yield from _of_series(result, account, current=current)
        if current:
            yield from _unlike("its power series is of", _devices(result, series), _stated(result))
            named = _identity(read_identity(files["series"]))
            yield from _unlike("its power series is of", named, _stated(result))
    elif result.energy.method is None:
        account = _account(result, None, latency)
        yield from _of_series(result, account, current=True)
        yield from _unlike(NO_SERIES, _devices(result, None), _stated(result))
    elif current:
        yield "it has an energy without a power series"
    if current and drift is not None:
        yield from _flags(result, drift, account)


def same(one: float | None, other: float | None) -> bool:
    """Return True for numbers that are equal but for the rounding of arithmetic, or both None."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=PRECISION, abs_tol=NOTHING)


def _of_requests(
    result: Result, requests: Sequence[RequestRecord], lengths: Sequence[int]
) -> dict[str, Any]:
    """Return the fields of the result that follow from its requests, by name."""
    assert result.window is not None
    start_s, end_s = result.window.start_monotonic_s, result.window.end_monotonic_s
    waves, passes, edges = None, None, {}
    if result.load_mode == "waves" and requests:
        start_s = min(request["submitted"] for request in requests)
        end_s = max(request["token_times"][-1] for request in requests)
        waves = len({request["wave"] for request in requests})
        per_pass = result.prompts.count // result.settings.resolved["batch_size"]
        passes = waves // max(1, per_pass)
        edges = {"start_monotonic_s": start_s, "end_monotonic_s": end_s}
    found = request_numbers(
        requests,
        input_lengths=lengths,
        start=start_s,
        end=end_s,
        waves=waves,
        passes=passes,
        is_open=result.open_load is not None,
        in_chunks=result.of_server,
        streamed=result.streamed,
    )
    return {
        "window": {**edges, "waves": waves, "passes": passes},
        "tokens": found.tokens.model_dump(),
        "latency": found.latency,
        "drift": found.drift,
    }


def _account(
    result: Result,
    series: Series | None,
    latency: Latency | None,
    parts: Sequence[tuple[float, float]] = (),
) -> EnergyAccount:
    gaps = latency.inter_token_latency_s if latency else None
    unknown = result.energy.reason if result.energy.reason in OF_ATTACHED else None
    account = account_energy(
        None if unknown else series,
        result.phases,
        result.tokens,
        scope=result.energy.scope,  # type: ignore[arg-type]
        gpus=result.environment.device_uuids or None,
        method=result.energy.method or "counter",  # type: ignore[arg-type]
        median_step_s=gaps.p50 if gaps else None,
        parts=parts,
    )
    return for_reason(account, unknown) if unknown else account


def _of_series(result: Result, account: EnergyAccount, *, current: bool) -> Iterator[str]:
    stated, again = result.energy, account.energy
    source = "its power series gives" if "series" in result.side_files else NO_SERIES
    if stated.reason == SAMPLER_OFF:
        again = unsampled(again)
    if again.reason != stated.reason or not same(again.energy_joules, stated.energy_joules):
        yield f"{source} {_formatted(again)}, it records {_formatted(stated)}"
    elif current:
        numbers = again.model_dump(exclude={"host_idle_power_watts"})  # of the run: record_checks
        drift = {
            "power_relative": account.power_drift_relative,
            "power_scatter_limit": power_scatter_limit(account),
        }
        found = {"energy": numbers, "drift": drift if result.drift else None}
        yield from _unlike(source, found, _stated(result))


def _formatted(energy: Energy) -> str:
    if energy.energy_joules is None:
        return f"no energy ({energy.reason})"
    return f"{energy.energy_joules:.9g} J"


def _devices(result: Result, series: Series | None) -> dict[str, Any]:
    """Return the fields of the result that describe the devices of the series."""
    counted = {device.device for device in result.energy.devices if device.counted}
    devices = series.devices if series else ()
    gpus = [d for d in devices if d.id in counted and d.is_gpu]
    known = gpus or result.energy.scope in ("gpu_board", "cpu_package")
    if series is not None and not known:
        return {}
    driver = gpus[0].facts.get("driver") if gpus else None
    return {
        "environment": {
            "device_uuids": [gpu.id for gpu in gpus],
            "device_model": gpus[0].model if gpus else result.environment.cpu_model,
            "power_limit_watts": gpus[0].power_limit_watts if gpus else None,
            "driver": str(driver) if driver else None,
        }
    }


def _identity(named: Mapping[str, Any]) -> dict[str, Any]:
    """Return the measurement that a series names, by the names that a result has for it."""
    return {"spec_hash" if key == "spec" else key: value for key, value in named.items()}


def _flags(result: Result, drift: Drift, account: EnergyAccount) -> Iterator[str]:
    assert result.window is not None
    raised = flags.of_measurement(
        drift=with_power(drift, account),
        duration_s=result.window.duration_s,
        minimum_duration_s=result.spec["measurement"]["minimum_duration_s"],
    )
    follow = {flag.code for flag in raised + account.flags} & DETERMINED_FLAGS
    stated = {flag.code for flag in result.flags}
    for code in sorted(follow - stated):
        yield f"it lacks the flag {code}"
    for code in sorted(stated & DETERMINED_FLAGS - follow):
        yield f"nothing in it raises its flag {code}"


def _stated(result: Result) -> dict[str, Any]:
    """Return what the file states. Files of an earlier protocol may lack younger fields."""
    return result.model_dump(exclude_unset=result.protocol_version != PROTOCOL_VERSION)


def _unlike(source: str, again: Any, stated: Any, name: str = "") -> Iterator[str]:
    """Yield a sentence for each value of `again` that `stated` has under the same name, unlike."""
    if isinstance(again, Latency | Drift):
        again = again.model_dump(exclude={"power_relative", "power_scatter_limit"})
    if isinstance(again, Mapping) and isinstance(stated, Mapping):
        for key in (key for key in again if key in stated):
            yield from _unlike(source, again[key], stated[key], f"{name}.{key}" if name else key)
    elif isinstance(again, list) and isinstance(stated, list) and len(again) == len(stated):
        for number, pair in enumerate(zip(again, stated, strict=True)):
            yield from _unlike(source, *pair, f"{name}[{number}]")
    elif again != stated and not (
        isinstance(again, float) and isinstance(stated, float) and same(again, stated)
    ):
        yield f"{source} {name} {_short(again)}, it records {_short(stated)}"


def _short(value: object) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)
