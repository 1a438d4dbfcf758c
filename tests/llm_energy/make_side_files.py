"""Side files of synthetic results, in the formats in which they are measured."""

import random
from datetime import datetime, timedelta
from itertools import accumulate
from pathlib import Path

from llm_energy.measurement import flags
from llm_energy.measurement.request_numbers import request_numbers
from llm_energy.measurement.steadiness import judged
from llm_energy.measurement.window_drift import with_power
from llm_energy.power.accounting import account_energy
from llm_energy.power.meter import Device, Reading
from llm_energy.power.series import Series
from llm_energy.power.series_file import write_series
from llm_energy.results.layout import result_path, side_path
from llm_energy.results.result import Result
from llm_energy.results.side_files import read_requests, write_requests

HZ = 10.0
RISE_S = 0.3
DEVICE = Device("GPU-synthetic", "Synthetic GPU", "gpu_board", simulated=True)


def with_side_files(folder: Path, result: Result) -> Result:
    """The result with its requests beside it, and with its power where it has an energy."""
    path = result_path(result.spec_hash, result.cycle)
    files = {}
    if result.window is not None:
        files["requests"] = write_requests(
            folder, side_path(path, "requests"), requests_of(result), input_lengths=[40] * 4
        )
    if result.energy.energy_joules is not None:
        files["series"] = write_series(folder, side_path(path, "series"), _series(result))
    return result.model_copy(update={"side_files": files})


def with_numbers(folder: Path, result: Result) -> Result:
    """The result with side files beside it and all that these determine, as if it was measured."""
    result = with_side_files(folder, result)
    requests, lengths = read_requests(folder / result.side_files["requests"].path)
    start_s = min(request["submitted"] for request in requests)
    end_s = max(request["token_times"][-1] for request in requests)
    waves = len({request["wave"] for request in requests})
    passes = waves * result.settings.resolved["batch_size"] // result.prompts.count
    assert result.window
    assert result.warmup
    span = {"start_monotonic_s": start_s, "end_monotonic_s": end_s}
    closed = datetime.fromisoformat(result.window.start_wall) + timedelta(seconds=end_s - start_s)
    counts = {"waves": waves, "passes": passes, "end_wall": closed.isoformat()}
    opened = result.window.model_copy(update={**span, **counts, "duration_s": end_s - start_s})
    found = request_numbers(
        requests, input_lengths=lengths, start=start_s, end=end_s, waves=waves, passes=passes
    )
    raised = flags.of_measurement(
        drift=found.drift,
        duration_s=opened.duration_s,
        minimum_duration_s=result.spec["measurement"]["minimum_duration_s"],
    )
    spans = {
        "window": span,
        "tail": {"start_monotonic_s": end_s, "end_monotonic_s": end_s + 1.0},
    }
    changes: dict[str, object] = {
        "window": opened,
        "finished": (closed + timedelta(seconds=1)).isoformat(),
        "phases": [p.model_copy(update=spans.get(p.name, {})) for p in result.phases],
        "tokens": found.tokens,
        "output_tokens_per_second": found.tokens.output / opened.duration_s,
        "requests_per_second": found.tokens.requests / opened.duration_s,
        "latency": found.latency,
        "drift": found.drift,
        "flags": raised,
    }
    result = result.model_copy(update=changes)
    if "series" not in result.side_files:
        return result.model_copy(update={"warmup": judged(result, requests, None)})
    name = result.side_files["series"].path
    identity = {"campaign": result.campaign, "experiment": result.experiment}
    identity |= {"cycle": result.cycle, "spec": result.spec_hash}
    file = write_series(folder, name, series := _series(result), identity=identity)
    gaps = found.latency.inter_token_latency_s
    account = account_energy(
        series,
        result.phases,
        found.tokens,
        scope=DEVICE.scope,
        gpus=[DEVICE.id],
        median_step_s=gaps.p50 if gaps else None,
    )
    board = {"device_uuids": [DEVICE.id], "device_model": DEVICE.model}
    result = result.model_copy(
        update={
            "side_files": result.side_files | {"series": file},
            "environment": result.environment.model_copy(update=board),
            "drift": with_power(found.drift, account),
            "energy": account.energy,
            "flags": raised + account.flags,
        }
    )
    return result.model_copy(update={"warmup": judged(result, requests, series)})


def requests_of(result: Result) -> list[dict[str, object]]:
    """Waves of the batch size, whose gaps scatter around the median that the result states."""
    assert result.window
    assert result.latency
    assert result.latency.time_to_first_token_s
    chance = random.Random(f"{result.experiment} {result.cycle} requests")
    settings = result.settings.resolved
    gaps, first = result.latency.inter_token_latency_s, result.latency.time_to_first_token_s.p50
    gap = gaps.p50 if gaps else 0.0
    found = []
    for wave in range(result.window.waves or 0):
        start = result.window.start_monotonic_s + wave * (first + gap * settings["output_tokens"])
        for prompt in range(settings["batch_size"]):
            steps = [first * chance.lognormvariate(0, 0.1)]
            steps += [
                gap * chance.lognormvariate(0, 0.05) for _ in range(settings["output_tokens"] - 1)
            ]
            times = [start + after for after in accumulate(steps)]
            found.append(
                {"prompt": prompt % 4, "wave": wave, "submitted": start, "token_times": times}
            )
    return found


def _series(result: Result) -> Series:
    """Idle power, and from the warm-up on the window's mean, reached within 0.3 s."""
    energy = result.energy
    assert energy.mean_power_watts is not None
    assert energy.loaded_idle_power_watts is not None
    idle, loaded = energy.loaded_idle_power_watts, energy.mean_power_watts
    chance = random.Random(f"{result.experiment} {result.cycle} power")
    edges = {phase.name: phase for phase in result.phases}
    rises, falls = edges["warmup"].start_monotonic_s, edges["tail"].end_monotonic_s
    start, counter, readings = edges["load"].start_monotonic_s, 1000.0, []
    for number in range(round((falls + 0.5 - start) * HZ)):
        now = start + number / HZ
        share = min(1.0, max(0.0, (now - rises) / RISE_S)) if now < falls else 0.0
        power = (idle + (loaded - idle) * share) * chance.gauss(1, 0.01)
        counter += power / HZ
        readings.append(
            Reading(
                DEVICE.id,
                now,
                now,
                0.0,
                energy_counter_joules=counter,
                instant_power_watts=power,
            )
        )
    return Series((DEVICE,), tuple(readings), HZ)
