"""Energy at the wall, from the file of a meter that stands beside the computer.

Such a meter has a clock of its own and about one sample per second, so its energy of a window is
the mean of the samples strictly inside it × the window's length. It checks the internal sensors;
scope `wall` is never compared with theirs.

    python -m llm_energy.validation.wall_meter RESULT.json METER.csv [--clock-offset SECONDS]
"""

import argparse
import math
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import numpy as np

from llm_energy.power.integration import Amount, gap_limit_s
from llm_energy.power.sensor import Sensor
from llm_energy.power.series import Samples, sampling_period_s
from llm_energy.power.series_file import read_series
from llm_energy.results.codes import ENERGY_REASONS
from llm_energy.results.result import Result, ResultError, read_result
from llm_energy.validation.wall_meter_file import WallMeterError, iso_seconds, read_wall_meter

MINIMUM_SAMPLES = 5
"""Fewer inside a window say nothing about its mean."""

MINIMUM_CORRELATION = 0.8
"""Below this the two power curves do not show which offset is right. Provisional."""


def wall_energy(
    wall: Samples, start_wall_s: float, end_wall_s: float, *, clock_offset_s: float
) -> Amount:
    """Energy of a window in seconds since 1970 by the host's clock, or a reason code.

    Args:
        clock_offset_s: the meter's clock less the host's.
    """
    start_s, end_s = start_wall_s + clock_offset_s, end_wall_s + clock_offset_s
    if reason := wall.uncovered(start_s, end_s):
        return Amount(reason=reason)
    inside = wall.between(start_s, end_s)
    if len(inside) < MINIMUM_SAMPLES:
        return Amount(reason="too_few_samples")
    if min(inside.values) <= 0.0:
        return Amount(reason="non_positive_sample")
    around = wall.around(start_s, end_s).times_s
    limit_s = gap_limit_s(sampling_period_s(wall.times_s) or 0.0)
    if any(b - a > limit_s for a, b in pairwise(around)):
        return Amount(reason="sampling_gap")
    return Amount(fmean(inside.values) * (end_s - start_s))


def estimate_clock_offset_s(
    wall: Samples, device: Samples, *, widest_s: float = 60.0, step_s: float = 0.1
) -> float | None:
    """The offset at which the wall's power follows a device's best; None where none is clear.

    Args:
        device: power of the device that varies most, over seconds since 1970 by the host's clock.
        widest_s: offsets from minus to plus this are tried.
    """
    tried = [n * step_s for n in range(-round(widest_s / step_s), round(widest_s / step_s) + 1)]
    scores = [(_likeness(wall, device, offset_s), offset_s) for offset_s in tried]
    best, offset_s = max(scores, key=lambda score: (score[0], -abs(score[1])))
    return offset_s if best >= MINIMUM_CORRELATION else None


def _likeness(wall: Samples, device: Samples, offset_s: float) -> float:
    """Correlation of device and wall power, the wall's clock being ahead by `offset_s`."""
    times_s = np.asarray(device.times_s) + offset_s
    inside = (times_s >= wall.times_s[0]) & (times_s <= wall.times_s[-1])
    if 2 * inside.sum() < len(device) or inside.sum() < MINIMUM_SAMPLES:
        return -1.0
    ours = np.asarray(device.values)[inside]
    theirs = np.interp(times_s[inside], wall.times_s, wall.values)
    return float(np.corrcoef(ours, theirs)[0, 1]) if np.ptp(ours) and np.ptp(theirs) else -1.0


def compare(path: Path, meter: Path, clock_offset_s: float | None) -> str:
    """One line on a result beside the wall meter.

    Args:
        path: of a result in its campaign's folder.
        clock_offset_s: None: estimated from the power series of the result.

    Raises:
        WallMeterError, ResultError: what is missing for it.
    """
    result, wall = read_result(path), read_wall_meter(meter)
    if result.window is None:
        raise WallMeterError(f"{path}: {ENERGY_REASONS['no_window']}")
    if result.environment.shares_host:
        raise WallMeterError(f"{path}: {ENERGY_REASONS['shared_host']}")
    first, last = (datetime.fromtimestamp(wall.times_s[end], UTC).isoformat() for end in (0, -1))
    when = f"Its times go from {first} to {last}; the window began at {result.window.start_wall}."
    if clock_offset_s is None:
        clock_offset_s = estimate_clock_offset_s(wall, _device_power(path, result))
    if clock_offset_s is None:
        raise WallMeterError(f"{meter}: does not follow the load; give --clock-offset. {when}")
    start_s, end_s = map(iso_seconds, (result.window.start_wall, result.window.end_wall))
    amount = wall_energy(wall, start_s, end_s, clock_offset_s=clock_offset_s)
    if amount.joules is None:
        raise WallMeterError(f"{meter}: {ENERGY_REASONS[amount.reason or 'no_samples']} {when}")
    inside, scope = result.energy.energy_joules, result.energy.scope
    share = (
        "" if inside is None else f", {scope} {inside:.1f} J = {inside / amount.joules:.1%} of it"
    )
    return f"wall {amount.joules:.1f} J (clock offset {clock_offset_s:+.1f} s){share}"


def _device_power(path: Path, result: Result) -> Samples:
    """Power of the first counted device of a result, over wall time."""
    folder = next((p.parent for p in path.absolute().parents if p.name == "measurements"), None)
    counted = [device.device for device in result.energy.devices if device.counted]
    if folder is None or "series" not in result.side_files or not counted:
        raise WallMeterError(f"{path}: has no power series; give --clock-offset")
    series = read_series(folder / result.side_files["series"].path)
    device = next((device for device in series.devices if device.id == counted[0]), None)
    if device is None:
        raise WallMeterError(f"{path}: its power series lacks {counted[0]}; give --clock-offset")
    shift_s = series.readings[0].wall_s - series.readings[0].monotonic_s
    power = Sensor(device, series).power(-math.inf, math.inf)
    return Samples(tuple(t + shift_s for t in power.times_s), power.values)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("result", type=Path)
    parser.add_argument("meter", type=Path, help="its file: CSV, or a log of PTDaemon")
    parser.add_argument("--clock-offset", type=float, help="the meter's clock less the host's, s")
    given = parser.parse_args(arguments)
    if given.clock_offset is not None and not math.isfinite(given.clock_offset):
        parser.error(f"--clock-offset is {given.clock_offset}; give seconds")
    try:
        print(compare(given.result, given.meter, given.clock_offset))
    except (WallMeterError, ResultError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
