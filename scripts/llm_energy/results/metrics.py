"""The metrics that are summarised over cycles: column, unit, and how people read them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from llm_energy.results.open_load import SATURATED
from llm_energy.results.result import Result
from llm_energy.system.vocabulary import OPEN

Kind = Literal["speed", "latency", "energy"]


@dataclass(frozen=True)
class Metric:
    column: str
    """In the table of measurements, where the value is in `unit`."""
    title: str
    kind: Kind
    unit: str
    higher_is_better: bool
    shown_unit: str = ""
    """For people; `unit` where empty."""
    shown_factor: float = 1.0
    """Shown value = value × factor."""
    sensor: Literal["gross", "net"] | None = None
    """The power sensor's gain and offset (`gross`) or its gain alone (`net`, above a
    baseline read by the same sensor) are part of its total uncertainty."""
    is_share: bool = False
    """It lies between 0 and 1, and so do its intervals."""
    of_host: bool = False
    """True for energies of what did the work together with the host, in a scope of their own."""

    @property
    def short_title(self) -> str:
        """The title without the statistic: `Inter-token latency`."""
        return self.title.partition(",")[0]

    @property
    def scope_column(self) -> str | None:
        """The column of the scope, which is a term of energies alone."""
        if self.kind != "energy":
            return None
        return "host_scope" if self.of_host else "energy_scope"

    @property
    def display_unit(self) -> str:
        return self.shown_unit or self.unit


def _latency(column: str, title: str) -> Metric:
    return Metric(column, title, "latency", "s", False, shown_unit="ms", shown_factor=1e3)


def _energy(column: str, title: str, unit: str, *, higher_is_better: bool = False) -> Metric:
    return Metric(column, title, "energy", unit, higher_is_better, sensor="gross")


THROUGHPUT = Metric("output_tokens_per_second", "Throughput", "speed", "tokens/s", True)
REQUEST_RATE = Metric("requests_per_second", "Request rate", "speed", "requests/s", True)
GOODPUT = Metric("goodput_per_second", "Goodput, good requests", "speed", "requests/s", True)
ATTAINMENT = Metric(
    "attainment",
    "Attainment, share of good requests",
    "speed",
    "1",
    True,
    shown_unit="%",
    shown_factor=1e2,
    is_share=True,
)
TTFT = _latency("time_to_first_token_p50_s", "Time to first token, median")
TTFT_P95 = _latency("time_to_first_token_p95_s", "Time to first token, 95th percentile")
TTFT_P99 = _latency("time_to_first_token_p99_s", "Time to first token, 99th percentile")
ITL = _latency("inter_token_latency_p50_s", "Inter-token latency, median")
ITL_P95 = _latency("inter_token_latency_p95_s", "Inter-token latency, 95th percentile")
ITL_P99 = _latency("inter_token_latency_p99_s", "Inter-token latency, 99th percentile")
END_TO_END = _latency("end_to_end_p50_s", "End-to-end latency, median")
END_TO_END_P95 = _latency("end_to_end_p95_s", "End-to-end latency, 95th percentile")
JOULES_PER_OUTPUT_TOKEN = _energy("joules_per_output_token", "Energy per output token", "J/token")
HOST_JOULES_PER_OUTPUT_TOKEN = replace(
    _energy("host_joules_per_output_token", "Energy per output token with the host", "J/token"),
    of_host=True,
)
JOULES_PER_TOKEN = _energy("joules_per_token", "Energy per token, input and output", "J/token")
JOULES_PER_REQUEST = _energy("joules_per_request", "Energy per request", "J/request")
JOULES_PER_GOOD_REQUEST = _energy("joules_per_good_request", "Energy per good request", "J/request")
TOKENS_PER_JOULE = _energy(
    "output_tokens_per_joule", "Output tokens per joule", "tokens/J", higher_is_better=True
)
PREFILL = _energy("prefill_joules_per_input_token", "Prefill energy per input token", "J/token")
MEAN_POWER = _energy("mean_power_watts", "Mean power", "W")
NET_ENERGY = Metric(
    "energy_above_loaded_idle_joules",
    "Energy above loaded idle",
    "energy",
    "J",
    False,
    sensor="net",
)

SERVED = (JOULES_PER_GOOD_REQUEST, GOODPUT, ATTAINMENT)
"""Metrics of load mode `open` with objectives, in the place of throughput."""

WATCHED = (THROUGHPUT, END_TO_END, JOULES_PER_OUTPUT_TOKEN)
"""Metrics by which repeats of a measurement are compared, as far as they are `watched`: at most two
of one load mode. With more of them, findings by chance alone would be common."""


def by_arrivals(metric: Metric, load_mode: str | None) -> bool:
    """Return True for throughput in load mode `open`: it is that of the arrivals as long as the
    engine keeps up, so no experiment is better than another by it."""
    return metric == THROUGHPUT and load_mode == OPEN


def watched_speed(load_modes: Iterable[str | None]) -> Metric:
    """Return the metric of speed among those that are watched, of results in one or more modes."""
    return END_TO_END if set(load_modes) == {OPEN} else THROUGHPUT


def watched(metric: Metric, load_mode: str | None, saturation: str | None) -> bool:
    """Return True for a metric by which repeats of a measurement are compared.

    In load mode `open` the median end-to-end latency stands for throughput, which is that of the
    arrivals however slow the engine is. Where the queue grew, that latency is longer the longer the
    window is, and is not compared.

    Args:
        saturation: verdict on the queue of an open load; None in other load modes.
    """
    if load_mode != OPEN:
        return metric != END_TO_END
    return metric == JOULES_PER_OUTPUT_TOKEN or (metric == END_TO_END and saturation != SATURATED)


def watched_value(result: Result, metric: Metric) -> float | None:
    """Return the value of a metric of `WATCHED`; None where it is not watched or not known."""
    saturation = result.open_load.saturation if result.open_load else None
    known = watched(metric, result.load_mode, saturation)
    return value_of(result, metric) if known else None


def value_of(result: Result, metric: Metric) -> float | None:
    """Return the value of a metric that a result holds itself: throughput, the rate of requests,
    latencies, energies without the host."""
    holder: object = result.energy if metric.kind == "energy" else result
    column = metric.column
    if metric.kind == "latency":
        name, _, column = metric.column.removesuffix("_s").rpartition("_")
        holder = getattr(result.latency, f"{name}_s", None)
    value: float | None = getattr(holder, column) if holder else None
    return value


METRICS = (
    THROUGHPUT,
    REQUEST_RATE,
    GOODPUT,
    ATTAINMENT,
    TTFT,
    TTFT_P95,
    TTFT_P99,
    ITL,
    ITL_P95,
    ITL_P99,
    END_TO_END,
    END_TO_END_P95,
    JOULES_PER_OUTPUT_TOKEN,
    HOST_JOULES_PER_OUTPUT_TOKEN,
    JOULES_PER_TOKEN,
    JOULES_PER_REQUEST,
    JOULES_PER_GOOD_REQUEST,
    TOKENS_PER_JOULE,
    PREFILL,
    MEAN_POWER,
    NET_ENERGY,
)
