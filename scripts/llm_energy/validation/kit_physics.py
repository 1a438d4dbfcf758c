"""Checks of every result of the small campaign, line by line. Pure."""

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean

from llm_energy.analysis.counter_ratios import device_ratios
from llm_energy.analysis.energy_uncertainty import combined, gross_budget, net_budget, with_limits
from llm_energy.analysis.result_checks import contradictions
from llm_energy.campaign.setting_checks import MINIMUM_GPU_DURATION_S
from llm_energy.power import plausibility
from llm_energy.power.baseline import Baseline
from llm_energy.power.sensor import Sensor
from llm_energy.power.series import Series
from llm_energy.results.codes import SAMPLER_OFF
from llm_energy.results.result import Result
from llm_energy.validation.kit_lines import Line, judged
from llm_energy.validation.sensor_checks import counter_falls

EDGE_S = 1.0
"""Before and after its window the load must run on: sensors average over this long."""

EDGE_SHARE = 0.5
"""Share of the window's mean power below which a sample at its edge is no load."""

UNCERTAINTIES_ABOVE_IDLE = 3.0
"""Standard uncertainties that a window must lie above idling."""

Seen = tuple[Result, Series | None]
"""A result with its power series."""


def complaints(result: Result, series: Series | None) -> dict[str, str | None]:
    """Check -> what is wrong with a result, None where nothing is."""
    energy, duration_s = result.energy, result.window.duration_s if result.window else 0.0
    produced = result.tokens is not None and result.tokens.output > 0
    without = result.status if result.status != "completed" else "no output token"
    return {
        "tokens were produced": None if produced else without,
        f"window of {MINIMUM_GPU_DURATION_S:g} s or more": None
        if duration_s >= MINIMUM_GPU_DURATION_S
        else f"{duration_s:.1f} s",
        # A driver that lists no process lets the energy of all GPUs count: see `used_gpus`.
        "engine was seen on its GPU": _of_series(result, series, _nobody),
        "energy is known": None if energy.energy_joules is not None else f"none: {energy.reason}",
        "uncertainty is known": None
        if combined(gross_budget(result))
        else "no standard uncertainty",
        "load above idle": _near_idle(result),
        "numbers agree": "; ".join(contradictions(result)) or None,
        "power between idle and limit": _impossible_power(result),
        "counter rises": _of_series(result, series, _falls),
        "load on both sides of the window": _of_series(result, series, _idle_edges),
    }


def physics_lines(seen: Sequence[Seen]) -> Iterator[Line]:
    """One line for each check over all results, with the first result that fails it.

    None without a result, which another line reports. The sampler-off control has no power to
    check.
    """
    metered = [pair for pair in seen if pair[0].energy.reason != SAMPLER_OFF]
    found = [(result, complaints(result, series)) for result, series in metered]
    for subject in found[0][1] if found else ():
        wrong = [(result, text) for result, each in found if (text := each[subject])]
        text = f"{len(found) - len(wrong)} of {len(found)} measurements"
        if wrong:
            first, complaint = wrong[0]
            text += f"; {first.experiment} cycle {first.cycle}: {complaint}"
        yield judged(subject, not wrong, text)
    if found:
        yield from ratio_lines([result for result, _ in found])
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


def _near_idle(result: Result) -> str | None:
    """The energy above idle must exceed what is not known of it."""
    net, u = (
        result.energy.energy_above_loaded_idle_joules,
        combined(net_budget(with_limits(result, None))),
    )
    if net is None or u is None:
        return "not known"
    if net >= UNCERTAINTIES_ABOVE_IDLE * u:
        return None
    return f"{net:.1f} J above the loaded idle, with a standard uncertainty of {u:.1f} J"


def _impossible_power(result: Result) -> str | None:
    """The window's mean must lie between the loaded idle and the enforced limit of its boards."""
    energy = result.energy
    if energy.mean_power_watts is None or energy.loaded_idle_power_watts is None:
        return "not known"
    return plausibility.impossible_mean(
        energy.mean_power_watts,
        baseline=Baseline(energy.loaded_idle_power_watts, None, 0.0),
        power_limit_watts=energy.enforced_limit_watts(result.environment.power_limit_watts),
    )


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
    falls, readings = counter_falls(sensor)
    return f"{falls} falls" if falls or not readings else None


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
    lowest, mean = min(near), fmean(inside)
    return f"{lowest:.0f} W at a mean of {mean:.0f} W" if lowest < EDGE_SHARE * mean else None
