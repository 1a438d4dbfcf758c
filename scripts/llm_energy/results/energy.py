"""The energy of a result, of each device and in sum; what was not measured is None and says why."""

from llm_energy.results.parts import Model


class DeviceState(Model):
    """Thermal state and clocks of one device over the window; None where it does not say."""

    temperature_mean_celsius: float | None
    temperature_max_celsius: float | None
    sm_clock_mean_mhz: float | None
    sm_clock_min_mhz: float | None
    memory_clock_mean_mhz: float | None = None
    power_limit_min_watts: float | None = None
    """Lowest enforced limit that was seen; the highest is `power_limit_watts` of the device."""
    throttle_reasons: list[str]
    """Names of all that were active at some moment, such as `software_power_cap`."""
    performance_states: list[int]
    """All that were seen; 0 is the fastest."""


class DeviceEnergy(Model):
    """Energy of one metered device over the window."""

    device: str
    """GPU UUID, RAPL zone such as `intel-rapl:0`, the name of a sensor of the kernel, or `bmc`."""
    scope: str
    energy_joules: float | None
    reason: str | None
    counter_joules: float | None
    integrated_instant_joules: float | None
    integrated_average_joules: float | None
    counted: bool = True
    """False for devices of the host that are listed but are no part of the sum."""
    label: str | None = None
    """The kernel's name of a RAPL zone, such as `package-0`, or of a rail; the id of a chassis."""
    method: str | None = None
    """The source of `energy_joules`: the campaign's, or that of a device outside of its scope."""
    mirror_of: str | None = None
    """The zone whose counter this one repeats, so that it is no part of the sum."""
    loaded_idle_power_watts: float | None = None
    counter_over_instant: float | None = None
    """Energy by the counter over that by integrated instant power, in the window."""
    counter_over_instant_idle: float | None = None
    """The same while the loaded engine was idle."""
    counter_over_instant_uncertainty: float | None = None
    """Relative standard uncertainty of the ratio in the window, by what no reading shows."""
    update_period_s: float | None = None
    """How often the slower of counter and instant power was seen to update, or the average."""
    power_limit_watts: float | None = None
    """The highest enforced power limit that was seen in the window."""
    state: DeviceState | None = None


class HostEnergy(Model):
    """Energy of what did the work together with the host around it, over the window."""

    scope: str
    """One scope, such as `chassis`, or those that are added up, such as `gpu_board + cpu_socket`:
    the widest that is known."""
    devices: list[str]
    """Devices whose energies are added up."""
    energy_joules: float | None
    reason: str | None
    """Reason code where there is no energy."""
    joules_per_output_token: float | None = None
    """`energy_joules` over output tokens."""
    mean_power_watts: float | None = None
    """`energy_joules` over the duration of the window."""
    gain_limit_relative: float | None = None
    """Limit of the gain of its sensors, weighted by their energies."""
    offset_limit_watts: float | None = None
    """Limit of the offset of all its sensors together."""


class Energy(Model):
    """Energy over the window. Every None has its `reason`."""

    energy_joules: float | None
    """Gross energy of the window, summed over the counted devices; none if one is missing."""
    reason: str | None
    """Reason code where there is no energy, such as `no_meter`."""
    method: str | None
    """`counter`, `integrated_instant` or `integrated_average`; one for the whole campaign."""
    scope: str | None
    """The scope of the sensors, such as `gpu_board`; docs/energy.md has them all."""
    mean_power_watts: float | None
    """`energy_joules` over the duration of the window."""
    loaded_idle_power_watts: float | None
    """Power with the model loaded and no request."""
    loaded_idle_standard_error_watts: float | None
    """Standard error of `loaded_idle_power_watts`."""
    energy_above_loaded_idle_joules: float | None
    """`energy_joules` minus loaded idle power × duration; may be negative, never clamped."""
    gain_limit_relative: float | None
    """Limit of the gain of each counted device's sensor: within ± any value is equally likely."""
    offset_limit_watts: float | None
    """Limit of the offset of each counted device's sensor, likewise."""
    edge_uncertainty_joules: float | None
    """Standard uncertainty of `energy_joules` from what is not known between two samples at the
    edges of the window, summed over the counted devices."""
    sampling_uncertainty_joules: float | None = None
    """Standard uncertainty of `energy_joules` from how rough the samples of integrated power are,
    likewise; 0 for counters, None in results of earlier versions."""
    gap_uncertainty_joules: float | None = None
    """Standard uncertainty of `energy_joules` from gaps between samples of integrated power,
    likewise."""
    host_idle_power_watts: float | None = None
    """Power of the counted devices without an engine, once in each run and cycle, for its drift
    alone; None where it was not taken, as while an engine stayed loaded."""
    gpu_cpu_dram_joules: float | None = None
    """GPUs, CPU packages and memory together; none unless all can be read."""
    host: HostEnergy | None = None
    """The energy with the host around the counted devices; none where nothing meters it."""
    joules_per_output_token: float | None
    """`energy_joules` over output tokens."""
    joules_per_token: float | None
    """`energy_joules` over input and output tokens."""
    joules_per_request: float | None
    """`energy_joules` over requests."""
    output_tokens_per_joule: float | None
    """Output tokens over `energy_joules`."""
    load_energy_joules: float | None
    """Energy of loading the model."""
    warmup_energy_joules: float | None
    """Energy of the warm-up."""
    devices: list[DeviceEnergy]
    simulated: bool
    """True where the sensor is a simulator: such numbers must never be quoted."""

    def enforced_limit_watts(self, opened_watts: float | None) -> float | None:
        """The power limits of all counted devices together; None where one is not known.

        Args:
            opened_watts: the limit of one device before the load, for results without later ones.
        """
        counted = [device for device in self.devices if device.counted]
        limits = [device.power_limit_watts or opened_watts for device in counted]
        return sum(watts for watts in limits if watts) if limits and all(limits) else None
