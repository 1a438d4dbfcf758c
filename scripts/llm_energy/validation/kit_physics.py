"""Checks of every result of the small campaign, line by line. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

from llm_energy.analysis.counter_ratios import device_ratios
from llm_energy.analysis.energy_uncertainty import combined, gross_budget, net_budget
from llm_energy.analysis.result_checks import contradictions
from llm_energy.campaign.setting_checks import MINIMUM_GPU_DURATION_S
from llm_energy.power import plausibility
from llm_energy.power.baseline import Baseline
from llm_energy.power.sensor import Sensor
from llm_energy.power.series import Series
from llm_energy.results.result import Result
from llm_energy.validation.kit_lines import Line, judged

EDGE_S = 1.0
"""Before and after its window the load must run on: sensors average over this long."""

EDGE_SHARE = 0.5
"""Of the window's mean power, below which a sample at its edge is no load."""

UNCERTAINTIES_ABOVE_IDLE = 3.0
"""Standard uncertainties that a window must lie above idling."""

Check = Callable[[Result, Series | None], str | None]
"""Returns what is wrong with a result, None where nothing is."""


def has_tokens(result: Result, _: Series | None) -> str | None:
    if result.status != "completed":
        return result.status
    return None if result.tokens and result.tokens.output > 0 else "no output token"


def long_enough(result: Result, _: Series | None) -> str | None:
    duration_s = result.window.duration_s if result.window else 0.0
    return None if duration_s >= MINIMUM_GPU_DURATION_S else f"{duration_s:.1f} s"


def on_a_gpu(result: Result, series: Series | None) -> str | None:
    """A driver that lists no process lets the energy of all GPUs count: see `used_gpus`."""
    return _of_series(result, series, _nobody)


def has_energy(result: Result, _: Series | None) -> str | None:
    energy = result.energy
    return None if energy.energy_joules is not None else f"none: {energy.reason}"


def has_uncertainty(result: Result, _: Series | None) -> str | None:
    u = combined(gross_budget(result))
    return None if u is not None and u > 0.0 else "no standard uncertainty"


def above_idle(result: Result, _: Series | None) -> str | None:
    """The window took more than idling did, beyond what is not known of the difference."""
    net = result.energy.energy_above_loaded_idle_joules
    u = combined(net_budget(result))
    if net is None or u is None:
        return "not known"
    if net >= UNCERTAINTIES_ABOVE_IDLE * u:
        return None
    return f"{net:.1f} J above the loaded idle, with a standard uncertainty of {u:.1f} J"


def agrees(result: Result, _: Series | None) -> str | None:
    return "; ".join(contradictions(result)) or None


def possible_power(result: Result, _: Series | None) -> str | None:
    """Window mean between the loaded idle and the enforced limit of its boards."""
    energy, limit = result.energy, result.environment.power_limit_watts
    if energy.mean_power_watts is None or energy.loaded_idle_power_watts is None:
        return "not known"
    boards = sum(device.counted for device in energy.devices)
    return plausibility.impossible_mean(
        energy.mean_power_watts,
        baseline=Baseline(energy.loaded_idle_power_watts, None, 0.0),
        power_limit_watts=None if limit is None else limit * boards,
    )


def rising_counter(result: Result, series: Series | None) -> str | None:
    return _of_series(result, series, _falls)


def loaded_edges(result: Result, series: Series | None) -> str | None:
    """No sample within `EDGE_S` of the window is far below its mean."""
    return _of_series(result, series, _idle_edges)


CHECKS: Mapping[str, Check] = {
    "tokens were produced": has_tokens,
    f"window of {MINIMUM_GPU_DURATION_S:g} s or more": long_enough,
    "engine was seen on its GPU": on_a_gpu,
    "energy is known": has_energy,
    "uncertainty is known": has_uncertainty,
    "load above idle": above_idle,
    "numbers agree": agrees,
    "power between idle and limit": possible_power,
    "counter rises": rising_counter,
    "load on both sides of the window": loaded_edges,
}


def physics_lines(seen: Sequence[tuple[Result, Series | None]]) -> Iterator[Line]:
    """One line for each check over all results, with the first result that fails it.

    None without a result, which another line reports.
    """
    if not seen:
        return
    for subject, check in CHECKS.items():
        wrong = [(r, complaint) for r, series in seen if (complaint := check(r, series))]
        text = f"{len(seen) - len(wrong)} of {len(seen)} measurements"
        if wrong:
            first, complaint = wrong[0]
            text += f"; {first.experiment} cycle {first.cycle}: {complaint}"
        yield judged(subject, not wrong, text)
    yield from ratio_lines([result for result, _ in seen])
    for result, _ in seen:
        numbers = {
            "J/token": result.energy.joules_per_output_token,
            "W": result.energy.mean_power_watts,
            "W loaded idle": result.energy.loaded_idle_power_watts,
        }
        known = [f"{value:.4g} {unit}" for unit, value in numbers.items() if value is not None]
        flags = ", ".join(flag.code for flag in result.flags) or "no flags"
        text = f"{', '.join(known) or 'no energy'}; {flags}"
        yield Line("NOTE", f"{result.experiment} cycle {result.cycle}", text)


def ratio_lines(results: Sequence[Result]) -> Iterator[Line]:
    """Counter against integrated instant power, over all windows of each device."""
    found = device_ratios(results)
    if not found:
        yield judged("counter against samples", False, "no window has both")
    for ratios in found:
        text = f"{ratios.device}: median ratio {ratios.median_ratio:.4f} of {ratios.count} windows"
        if ratios.deviating:
            text += f", {len(ratios.deviating)} of them differ from it"
        good = not (ratios.warning or ratios.deviating)
        yield judged("counter against samples", good, text)


def _of_series(
    result: Result, series: Series | None, look: Callable[[Result, Sensor], str | None]
) -> str | None:
    """The first complaint about the devices that the result counts."""
    if series is None or result.window is None:
        return "no series"
    counted = {device.device for device in result.energy.devices if device.counted}
    sensors = [Sensor(device, series) for device in series.devices if device.id in counted]
    complaints = (look(result, sensor) for sensor in sensors)
    return next((c for c in complaints if c), None) if sensors else "no device in the series"


def _falls(_: Result, sensor: Sensor) -> str | None:
    values = sensor.series.samples(sensor.device, "energy_counter_joules").values
    falls = sum(later < earlier for earlier, later in pairwise(values))
    return f"{falls} falls" if falls or not values else None


def _nobody(result: Result, sensor: Sensor) -> str | None:
    assert result.window is not None
    start_s, end_s = result.window.start_monotonic_s, result.window.end_monotonic_s
    if any(state.process_ids for state in sensor.states(start_s, end_s)):
        return None
    return f"{sensor.device.id} lists no process in the window"


def _idle_edges(result: Result, sensor: Sensor) -> str | None:
    assert result.window is not None
    start_s, end_s = result.window.start_monotonic_s, result.window.end_monotonic_s
    inside = sensor.power(start_s, end_s).values
    near = sensor.power(start_s - EDGE_S, end_s + EDGE_S).values
    if not inside:
        return "no samples in the window"
    mean = sum(inside) / len(inside)
    lowest = min(near)
    return f"{lowest:.0f} W at a mean of {mean:.0f} W" if lowest < EDGE_SHARE * mean else None
