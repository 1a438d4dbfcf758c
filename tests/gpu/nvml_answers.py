"""Everything that NVML answers about one GPU: values, or the code of the refusal. Read only.

Only `try_setters` changes anything, and it sets what is set already; it is called on a machine of
one's own alone.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

FIELDS = (
    "POWER_INSTANT",
    "POWER_AVERAGE",
    "TOTAL_ENERGY_CONSUMPTION",
    "POWER_CURRENT_LIMIT",
    "POWER_REQUESTED_LIMIT",
    "POWER_DEFAULT_LIMIT",
    "POWER_MIN_LIMIT",
    "POWER_MAX_LIMIT",
    "MEMORY_TEMP",
    "PERF_POLICY_POWER",
    "PERF_POLICY_THERMAL",
    "PERF_POLICY_BOARD_LIMIT",
    "PERF_POLICY_RELIABILITY",
)
"""Field values, without their prefix NVML_FI_DEV_."""

QUERIES: Mapping[str, tuple[Any, ...]] = {
    "nvmlDeviceGetName": (),
    "nvmlDeviceGetUUID": (),
    "nvmlDeviceGetArchitecture": (),
    "nvmlDeviceGetVbiosVersion": (),
    "nvmlDeviceGetPersistenceMode": (),
    "nvmlDeviceGetComputeMode": (),
    "nvmlDeviceGetEccMode": (),
    "nvmlDeviceGetMigMode": (),
    "nvmlDeviceGetVirtualizationMode": (),
    "nvmlDeviceGetTotalEnergyConsumption": (),
    "nvmlDeviceGetPowerUsage": (),
    "nvmlDeviceGetPowerManagementMode": (),
    "nvmlDeviceGetPowerManagementLimit": (),
    "nvmlDeviceGetPowerManagementDefaultLimit": (),
    "nvmlDeviceGetPowerManagementLimitConstraints": (),
    "nvmlDeviceGetEnforcedPowerLimit": (),
    "nvmlDeviceGetTemperature": (0,),
    "nvmlDeviceGetPerformanceState": (),
    "nvmlDeviceGetClockInfo": (1,),
    "nvmlDeviceGetMaxClockInfo": (1,),
    "nvmlDeviceGetApplicationsClock": (1,),
    "nvmlDeviceGetMinMaxClockOfPState": (1, 0),
    "nvmlDeviceGetSupportedMemoryClocks": (),
    "nvmlDeviceGetAPIRestriction": (0,),
    "nvmlDeviceGetCurrentClocksThrottleReasons": (),
    "nvmlDeviceGetSupportedClocksThrottleReasons": (),
    "nvmlDeviceGetUtilizationRates": (),
    "nvmlDeviceGetMemoryInfo": (),
    "nvmlDeviceGetComputeRunningProcesses": (),
    "nvmlDeviceGetGraphicsRunningProcesses": (),
}
"""Functions and what they take after the handle. Clock 1 is that of the multiprocessors; API
restriction 0 is the setting of application clocks; temperature sensor 0 is the GPU's."""

VALUE_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
"""Members of nvmlValue_t, by nvmlValueType_t."""


@dataclass(frozen=True)
class Answer:
    """One query: its value as text, or the text of NVML's error."""

    query: str
    value: str | None
    error: str | None = None
    update_period_s: float | None = None
    """Median time between two changes; None where the value did not change twice."""


def answers(nvml: Any, handle: Any) -> Iterator[Answer]:
    """Ask every query once."""
    for name, arguments in QUERIES.items():
        yield asked(nvml, name, lambda n=name, a=arguments: getattr(nvml, n)(handle, *a))


def asked(nvml: Any, name: str, query: Callable[[], Any]) -> Answer:
    """Return what a query answers."""
    try:
        return Answer(name, described(query()))
    except nvml.NVMLError as error:
        return Answer(name, None, f"{error} (code {error.value})")
    except Exception as error:  # a binding of another version; the other queries go on
        return Answer(name, None, f"the binding cannot: {type(error).__name__}: {error}")


def described(value: Any) -> str:
    """Return a value as text; NVML's structures by their members."""
    if isinstance(value, list):
        return f"[{', '.join(map(described, value))}]"
    members = getattr(value, "_fields_", None)
    if not members:
        return str(value)
    return ", ".join(f"{name}={getattr(value, name)}" for name, *_ in members)


def field_answers(nvml: Any, handle: Any, *, watched_s: float) -> Iterator[Answer]:
    """Read all field values over some time, as fast as they come, to see how often they change."""
    identifiers = {
        name: number
        for name in FIELDS
        if (number := getattr(nvml, f"NVML_FI_DEV_{name}", None)) is not None
    }
    changes: dict[str, list[float]] = {name: [] for name in identifiers}
    last: dict[str, Answer] = {}
    end_s = time.monotonic() + watched_s
    while not last or time.monotonic() < end_s:
        for name, number in identifiers.items():
            answer = asked(nvml, f"field {name}", lambda n=number: field_value(nvml, handle, n))
            if name in last and answer.value != last[name].value:
                changes[name].append(time.monotonic())
            last[name] = answer
        time.sleep(0.001)
    for name, answer in last.items():
        gaps = [later - earlier for earlier, later in pairwise(changes[name])]
        period_s = median(gaps) if gaps else None
        yield Answer(answer.query, answer.value, answer.error, period_s)


def field_value(nvml: Any, handle: Any, number: int) -> Any:
    """Return one field value.

    Raises:
        NVMLError: the GPU or its driver does not have it.
    """
    (found,) = nvml.nvmlDeviceGetFieldValues(handle, [number])
    if found.nvmlReturn != nvml.NVML_SUCCESS:
        raise nvml.NVMLError(found.nvmlReturn)
    return getattr(found.value, VALUE_MEMBERS[found.valueType])


def try_setters(nvml: Any, handle: Any) -> Iterator[Answer]:
    """Set the power limit to what it is, which changes nothing and shows the permission."""
    limit = nvml.nvmlDeviceGetPowerManagementLimit
    setter = nvml.nvmlDeviceSetPowerManagementLimit
    yield asked(nvml, "set the present power limit again", lambda: setter(handle, limit(handle)))
