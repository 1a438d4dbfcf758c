"""Side files of synthetic results, in the formats in which they are measured."""

import random
from itertools import accumulate
from pathlib import Path

from llm_energy.power.meter import Device, Reading
from llm_energy.power.series import Series
from llm_energy.power.series_file import write_series
from llm_energy.results.result import Result
from llm_energy.results.side_files import write_requests

HZ = 10.0
RISE_S = 0.3
DEVICE = Device("GPU-synthetic", "Synthetic GPU", "gpu_board", simulated=True)


def with_side_files(folder: Path, result: Result) -> Result:
    """The result with its requests beside it, and with its power where it has an energy."""
    name = f"{result.experiment}/{result.spec_hash}/cycle-{result.cycle:02d}.parquet"
    files = {}
    if result.window is not None:
        files["requests"] = write_requests(
            folder, f"requests/{name}", requests_of(result), input_lengths=[40] * 4
        )
    if result.energy.energy_joules is not None:
        files["series"] = write_series(folder, f"series/{name}", _series(result))
    return result.model_copy(update={"side_files": files})


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
