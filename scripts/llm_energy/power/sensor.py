"""The energy of one device over any interval of a series, from each of its sources."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Literal

from llm_energy.power.baseline import Baseline, baseline
from llm_energy.power.counter import counter_energy, unwrapped
from llm_energy.power.counter_edges import resolved_powers
from llm_energy.power.integration import Amount, integrate, integrate_parts
from llm_energy.power.meter import Device, Quantity, Stamp, State
from llm_energy.power.module_counter import counts_module
from llm_energy.power.power_range import PowerRange
from llm_energy.power.sensor_limits import power_bound_watts
from llm_energy.power.series import Samples, Series, update_period_s

Method = Literal["counter", "integrated_instant", "integrated_average"]
"""One source is chosen for a whole campaign, and serves windows and baselines alike."""

AVERAGING_S = 1.0
"""NVML's average power is that of the last second."""

SLOWEST_UPDATE_S = 1.0
"""Power that changes more rarely than this did not change: no sensor updates more slowly."""

LEAST_UPDATES = 10.0
"""Updates of a slow device that an interval must span: the power around its edges is then known for
nine tenths of it."""

QUANTITY: Mapping[Method, Quantity] = {
    "counter": "energy_counter_joules",
    "integrated_instant": "instant_power_watts",
    "integrated_average": "average_power_watts",
}
"""By how much each misses: the counter nothing, the average nothing but at the edges."""


@dataclass(frozen=True)
class Sensor:
    """One device with its part of a series."""

    device: Device
    series: Series

    def energy(self, method: Method, start_s: float, end_s: float) -> Amount:
        """Energy over [start, end] on CLOCK_MONOTONIC, or the reason why it is not known."""
        samples, update_s = self._samples[method], self._update_s(method)
        if method == "counter" and self.counts_module:
            return Amount(reason="counter_of_module")
        if method == "counter":
            amount = counter_energy(
                samples,
                start_s,
                end_s,
                update_period_s=update_s,
                power_bound_watts=self.power_bound_watts,
                range_joules=self.device.counter_range_joules,
                power=self._samples["integrated_instant"],
                possible=self.possible_power,
            )
        else:
            amount = integrate(
                samples,
                start_s,
                end_s,
                update_period_s=update_s,
                possible=self.possible_power,
            )
        if amount.reason and amount.reason.startswith("no_sample"):
            # The sensor's own reason is more specific than that samples are missing.
            own = self.series.reason(self.device, QUANTITY[method])
            late = self.series.late(self.device, QUANTITY[method])
            if any(_beyond(amount.reason, stamp, start_s, end_s) for stamp in late):
                return Amount(reason="late_reading")
            return Amount(reason=amount.reason if own == "no_samples" else own)
        if amount.joules is not None and self._too_short(method, end_s - start_s):
            return Amount(reason="few_updates")
        return amount

    def parts_joules(self, method: Method, parts: Sequence[tuple[float, float]]) -> float | None:
        """Energy of all parts of an interval whose energy is known; None where it is not.

        The sensor was judged over that interval. In a part shorter than its updates a counter may
        stand still: such a part adds the 0 J that the counter shows, and the update counts beside
        it. The sum of all is not known where the counter moved in none.
        """
        samples = self._samples[method]
        if any(self._too_short(method, end_s - start_s) for start_s, end_s in parts):
            return None
        if method == "counter":
            joules = math.fsum(samples.at(end_s) - samples.at(start_s) for start_s, end_s in parts)
            return None if parts and joules == 0.0 else joules
        return integrate_parts(samples, parts, possible=self.possible_power)

    def late_at(self, method: Method, edge_s: float) -> Stamp | None:
        """The longest reading that was left out between the two samples around a moment."""
        beside = self._samples[method].around(edge_s, edge_s).times_s
        late = self.series.late(self.device, QUANTITY[method])
        found = [stamp for stamp in late if beside[0] <= stamp.monotonic_s <= beside[-1]]
        return max(found, key=lambda stamp: stamp.read_s, default=None)

    @cached_property
    def counts_module(self) -> bool:
        """True where the energy counter of a GPU covers the module around it."""
        if self.device.scope != "gpu_board":
            return False
        module = self.series.samples(self.device, "module_power_watts")
        return counts_module(self._samples["counter"], self._samples["integrated_instant"], module)

    @property
    def counter(self) -> Samples:
        """The energy counter without its wraps."""
        return self._samples["counter"]

    def power(self, start_s: float, end_s: float) -> Samples:
        """Samples of power in [start, end]: instant power, what the counter implies, or a mean."""
        average = self._samples["integrated_average"]
        known = (self._samples["integrated_instant"], self._counter_power, average)
        return next((each for each in known if each.times_s), average).between(start_s, end_s)

    @cached_property
    def possible_power(self) -> PowerRange:
        """Power that the device can have drawn unseen: from the lowest power of the series, which
        holds the idle phase, to the highest enforced limit, or to its bound without one."""
        seen = self.power(-math.inf, math.inf).values
        limit_watts = self.power_limit_watts(-math.inf, math.inf) or self.power_bound_watts
        return PowerRange(min(seen, default=0.0), max(limit_watts, *seen, 0.0))

    def baseline(self, method: Method, start_s: float, end_s: float) -> Baseline | None:
        """Mean power of an idle stretch, None where its energy is not known.

        Taken between the first and the last sample inside: to interpolate beyond them would mix
        in the load that comes next, and what the sensor still says of the load before is left out.
        """
        lag_s = self._update_s(method) or 0.0
        if method == "integrated_average":
            lag_s = max(lag_s, self.averaging_s)
        inside = self._samples[method].between(start_s + lag_s, end_s)
        if len(inside) < 2:
            return None
        span = (inside.times_s[0], inside.times_s[-1])
        return baseline(self.energy(method, *span), span[1] - span[0], self.power(*span).values)

    def never_changes(self, method: Method) -> bool:
        """Return True where a quantity has one value in the whole series."""
        return len(set(self._samples[method].values)) == 1

    def utilisation_percent(self, start_s: float, end_s: float) -> float | None:
        """Mean utilisation in [start, end]; None where nothing says it."""
        seen = [state.utilisation_percent for state in self.states(start_s, end_s)]
        known = [percent for percent in seen if percent is not None]
        return fmean(known) if known else None

    def states(self, start_s: float, end_s: float) -> list[State]:
        """The slow readings in [start, end]."""
        readings = self.series.by_device.get(self.device.id, ())
        return [r.state for r in readings if r.state and start_s <= r.monotonic_s <= end_s]

    def power_limit_watts(self, start_s: float, end_s: float) -> float | None:
        """The highest enforced limit seen in [start, end] or at opening; None where none is known.

        Laptops raise it under load. A limit of 0 W is none.
        """
        seen = [state.power_limit_watts or 0.0 for state in self.states(start_s, end_s)]
        return max(self.device.power_limit_watts or 0.0, *seen, 0.0) or None

    @property
    def power_bound_watts(self) -> float:
        """More than the device can draw; infinite where nothing bounds it."""
        return power_bound_watts(self.device)

    @property
    def update_period_s(self) -> float | None:
        """Update period of the slower of counter and instant power; of the average without both."""
        periods = (self._update_s("counter"), self._update_s("integrated_instant"))
        average_s = self._update_s("integrated_average")
        return max((period for period in periods if period is not None), default=average_s)

    @property
    def averaging_s(self) -> float:
        """How long the time is that average power is the mean of."""
        return AVERAGING_S if self.device.averaging_s is None else self.device.averaging_s

    @property
    def own_method(self) -> Method:
        """The first source that gave a value: that of devices that the campaign does not count.

        It is power for a controller, whose counter of kWh is too coarse for a window.
        """
        if self.device.own_period_s is not None:
            return "integrated_instant"
        return next((method for method in QUANTITY if self._samples[method].times_s), "counter")

    def _too_short(self, method: Method, duration_s: float) -> bool:
        """Return True where a device with a rate of its own updates too rarely for a time, or power
        is a mean over too much of it."""
        if method == "integrated_average" and self.device.averaging_s is not None:
            return duration_s < LEAST_UPDATES * self.device.averaging_s
        slow, update_s = self.device.own_period_s is not None, self._update_s(method)
        return slow and (update_s is None or duration_s < LEAST_UPDATES * update_s)

    def _update_s(self, method: Method) -> float | None:
        if method == "counter" and self.device.counter_update_s is not None:
            return self.device.counter_update_s
        seen_s = self._seen_update_s[method]
        if method == "integrated_average" and self.device.averaging_s is not None:
            return max(seen_s or 0.0, self.device.averaging_s)
        if method != "counter" and self.device.own_period_s is not None:
            # Power that does not change makes either seem too long.
            known = (period for period in (seen_s, self.device.power_update_s) if period)
            return min(known, default=None)
        return seen_s if method == "counter" or seen_s is None else min(seen_s, SLOWEST_UPDATE_S)

    @cached_property
    def _seen_update_s(self) -> dict[Method, float | None]:
        return {method: update_period_s(samples) for method, samples in self._samples.items()}

    @cached_property
    def _samples(self) -> dict[Method, Samples]:
        found = {m: self.series.samples(self.device, q) for m, q in QUANTITY.items()}
        found["counter"] = unwrapped(
            found["counter"],
            self.device.counter_range_joules,
            power_bound_watts=self.power_bound_watts,
        )
        return found

    @cached_property
    def _counter_power(self) -> Samples:
        update_s, bound_watts = self._update_s("counter") or 0.0, self.power_bound_watts
        return resolved_powers(self._samples["counter"], update_s, bound_watts=bound_watts)


def _beyond(reason: str, stamp: Stamp, start_s: float, end_s: float) -> bool:
    """Return True where a reading that was left out lies on the side that lacks a sample."""
    if reason == "no_sample_before":
        return stamp.monotonic_s <= start_s
    return reason == "no_sample_after" and stamp.monotonic_s >= end_s
