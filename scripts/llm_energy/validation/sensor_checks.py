"""Checks of one GPU's sensors as they were watched, line by line. Pure.

Every limit is provisional until it has met real boards: it says what is worth a look, and the
number beside it is what counts.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean, median, stdev

from llm_energy.analysis.counter_ratios import STABLE_OFFSET
from llm_energy.power import plausibility
from llm_energy.power.integration import Amount
from llm_energy.power.meter import Quantity
from llm_energy.power.power_flags import foreign_processes
from llm_energy.power.sensor import Method, Sensor
from llm_energy.power.series import Series, update_period_s
from llm_energy.results.codes import ENERGY_REASONS
from llm_energy.validation.gpu_sensors import Watched
from llm_energy.validation.kit_lines import Line, judged

NAMES: dict[Quantity, str] = {
    "energy_counter_joules": "energy counter",
    "instant_power_watts": "instant power",
    "average_power_watts": "average power",
    "usage_power_watts": "older call for power",
}
REQUIRED: tuple[Quantity, ...] = ("energy_counter_joules", "instant_power_watts")
"""The source of energy, and what it is checked against."""

UPDATE_LIMIT_S = 1.0
"""A sensor that changes less often costs more than 10 % at the edges of a 10 s window."""

LOADED_OVER_IDLE = 1.5
"""Matrix products are the hardest load there is; a board that is not half again above its idle
power under them has not got them."""

READ_LIMIT_S = 0.05
"""One reading must fit into half a period of the default 10 Hz."""

SPREAD_LIMIT = 0.01
"""Standard deviation over mean of equal windows of one steady load."""

MINIMUM_WINDOWS = 3


def sensor_lines(seen: Watched, windows_s: Sequence[float]) -> Iterator[Line]:
    """Check one GPU, and describe it."""
    device, idle, loaded = seen.idle.device, seen.idle, seen.loaded
    about = f"{device.model}, driver {device.facts.get('driver')}"
    if device.simulated:
        about += "; ITS SENSORS ARE SIMULATED, its numbers mean nothing"
    yield Line("NOTE", "GPU", f"{device.id}: {about}")
    yield judged(
        "whole board",
        device.refusal is None,
        "is one device" if device.refusal is None else ENERGY_REASONS[device.refusal],
    )
    yield alone(idle)
    for quantity in NAMES:
        yield field_line(loaded, quantity)
    yield rising(loaded)
    yield ratio_line(idle, "at rest")
    yield ratio_line(loaded, "under load")
    yield above_idle(idle, loaded)
    yield possible(idle, loaded)
    yield reading_cost(loaded.series)
    for window_s in windows_s:
        yield spread_line(loaded, window_s)


def field_line(loaded: Sensor, quantity: Quantity) -> Line:
    """Check that a quantity is there, and how often it changes under load."""
    samples = loaded.series.samples(loaded.device, quantity)
    subject = NAMES[quantity]
    if not samples.times_s:
        reason = loaded.series.reason(loaded.device, quantity)
        text = f"not there ({reason}): {ENERGY_REASONS.get(reason, 'no meaning is known')}"
        return judged(subject, False, text) if quantity in REQUIRED else Line("NOTE", subject, text)
    period_s = update_period_s(samples)
    if period_s is None:
        text = "is there, and never changed under load"
        # Power may be steady to the last digit, a counter may not.
        return judged(subject, quantity != "energy_counter_joules", text)
    text = f"changes every {1e3 * period_s:.0f} ms"
    return judged(subject, period_s <= UPDATE_LIMIT_S, text)


def alone(idle: Sensor) -> Line:
    """Check that no other process computed on the GPU at rest."""
    states = idle.states(*span(idle.series))
    listed = [state.process_ids for state in states if state.process_ids is not None]
    if not listed:
        return Line("NOTE", "nobody else", "it does not list the processes that compute on it")
    others = foreign_processes(states, ())
    text = f"processes {', '.join(map(str, others))} compute on it" if others else "alone on it"
    return judged("nobody else", not others, text)


def rising(loaded: Sensor) -> Line:
    """Check that the counter never falls."""
    falls, readings = counter_falls(loaded)
    text = f"{readings} readings, {falls} falls" if readings else "no reading"
    return judged("counter rises", readings > 0 and falls == 0, text)


def counter_falls(sensor: Sensor) -> tuple[int, int]:
    """How often the counter of a series falls, and the number of its readings."""
    values = sensor.series.samples(sensor.device, "energy_counter_joules").values
    return sum(later < earlier for earlier, later in pairwise(values)), len(values)


def ratio_line(sensor: Sensor, when: str) -> Line:
    """Energy by the counter over that of instant power: one board, two sensors."""
    subject = f"counter / instant {when}"
    counter, instant = (energy(sensor, method) for method in ("counter", "integrated_instant"))
    if counter.joules is None or instant.joules is None:
        reasons = {"counter": counter.reason, "integrated_instant": instant.reason}
        missing = ", ".join(f"{method}: {reason}" for method, reason in reasons.items() if reason)
        return judged(subject, False, f"not known ({missing})")
    ratio = counter.joules / instant.joules
    text = f"{ratio:.4f} (to be within 1 ± {STABLE_OFFSET:g})"
    return judged(subject, abs(ratio - 1.0) <= STABLE_OFFSET, text)


def above_idle(idle: Sensor, loaded: Sensor) -> Line:
    """Compare power under load with power without any CUDA context."""
    at_rest, busy = mean_watts(idle), mean_watts(loaded)
    if at_rest is None or busy is None:
        return judged("load above rest", False, "not known: one of them has no energy")
    text = (
        f"{busy - at_rest:.1f} W: {busy:.1f} W under load, {at_rest:.1f} W at rest "
        f"(to be at least {LOADED_OVER_IDLE:g} times as much)"
    )
    return judged("load above rest", busy >= LOADED_OVER_IDLE * at_rest, text)


def possible(idle: Sensor, loaded: Sensor) -> Line:
    """Check that the mean power under load is possible."""
    limit, busy = loaded.power_limit_watts(*span(loaded.series)), mean_watts(loaded)
    if busy is None:
        return judged("possible power", False, "not known: the load has no energy")
    baseline = idle.baseline(method_of(idle), *span(idle.series))
    wrong = plausibility.impossible_mean(busy, baseline=baseline, power_limit_watts=limit)
    text = ENERGY_REASONS[wrong] if wrong else f"{busy:.1f} W, enforced limit {limit} W"
    return judged("possible power", wrong is None, text)


def reading_cost(series: Series) -> Line:
    """Time for one pass over the GPU, and the rate that came of it."""
    took_s = sorted(reading.read_s for reading in series.readings)
    most_s = took_s[int(0.99 * (len(took_s) - 1))]
    start_s, end_s = span(series)
    rate_hz = (len(took_s) - 1) / (end_s - start_s)
    text = (
        f"median {1e3 * median(took_s):.2f} ms, 99 % within {1e3 * most_s:.2f} ms "
        f"(to be within {1e3 * READ_LIMIT_S:.0f}); {rate_hz:.1f} of {series.rate_hz:g} Hz delivered"
    )
    return judged("one reading", most_s <= READ_LIMIT_S, text)


def spread_line(loaded: Sensor, window_s: float) -> Line:
    """How far equal windows of the same load are apart (A/A), by the source of energy."""
    subject = f"A/A windows of {window_s:g} s"
    method = method_of(loaded)
    start_s, end_s = span(loaded.series)
    edges = [start_s + n * window_s for n in range(int((end_s - start_s) / window_s) + 1)]
    joules = [loaded.energy(method, *pair).joules for pair in pairwise(edges)]
    known = [value for value in joules if value is not None]
    if len(known) < len(joules) or len(known) < MINIMUM_WINDOWS:
        return judged(subject, False, f"{len(known)} of {len(joules)} windows have an energy")
    spread = stdev(known) / fmean(known)
    largest = max(known) / min(known) - 1.0
    text = (
        f"{spread:.3%} standard deviation, {largest:.3%} from least to most, {len(known)} windows, "
        f"{method} (to be within {SPREAD_LIMIT:.0%})"
    )
    return judged(subject, spread <= SPREAD_LIMIT, text)


def method_of(sensor: Sensor) -> Method:
    """The counter, or instant power where there is none: as a campaign chooses."""
    counter = sensor.series.samples(sensor.device, "energy_counter_joules")
    return "counter" if counter.times_s else "integrated_instant"


def mean_watts(sensor: Sensor) -> float | None:
    """Mean power over the whole series."""
    start_s, end_s = span(sensor.series)
    joules = energy(sensor, method_of(sensor)).joules
    return None if joules is None else joules / (end_s - start_s)


def energy(sensor: Sensor, method: Method) -> Amount:
    """Energy of the whole series, or why it is not known."""
    return sensor.energy(method, *span(sensor.series))


def span(series: Series) -> tuple[float, float]:
    """From the first to the last reading."""
    return series.covered()
