"""Reason codes for energy that is not there: what each one means and what can be done."""

SAMPLER_OFF = "sampler_off"
"""Of a control: nothing is wrong with it, and measuring it again gives no energy either."""

MEANINGS = {
    "no_meter": "This machine has no power sensor that can be read: no NVIDIA GPU with its driver "
    "and no RAPL domains in /sys/class/powercap.",
    "permission_denied": "RAPL counters are readable by root only. Remedy: "
    "`sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj` (until the next boot), or a "
    "udev rule that does it.",
    "not_supported": "This device does not have the sensor.",
    "gpu_lost": "The GPU fell off the bus or the driver lost it. Remedy: see the kernel log.",
    "driver_reloaded": "The driver was unloaded or replaced while it was being read.",
    "timeout": "The driver did not answer in time.",
    "read_failed": "The sensor could not be read; the log of the job has the message.",
    "mig_enabled": "The GPU is split by MIG: its sensors see the whole board, so the energy of an "
    "instance is not known. Remedy: measure with MIG off.",
    "gpu_not_metered": "A GPU of this measurement has no power sensor that can be read.",
    "no_window": "There is no window: the measurement ended before it.",
    "no_load": "There is no time span of loading.",
    "no_idle": "There is no idle time span.",
    "no_warmup": "There is no warm-up.",
    "no_samples": "The sensor gave no value at all.",
    "no_sample_before": "No sample lies before the start of the interval.",
    "no_sample_after": "No sample lies after the end of the interval.",
    SAMPLER_OFF: "Power was left unread in the window on purpose: a control of what reading costs.",
    "sampling_gap": "Samples are missing for so long that the integral may be wrong by more than "
    "the limit.",
    "too_few_samples": "Too few samples lie inside the window for a mean.",
    "non_positive_sample": "The wall meter says 0 W or less inside the window.",
    "counter_reset": "The energy counter went backwards inside the interval.",
    "counter_stuck": "The energy counter did not move during the interval.",
    "no_power": "The power sensor said 0 W all along, which no device draws.",
    "mean_power_below_idle": "Mean power of the window lies below the loaded idle: not possible.",
    "mean_power_above_limit": "Mean power of the window lies above the enforced limit: not "
    "possible.",
}
"""Code -> what a reader must know, with the remedy where there is one."""
