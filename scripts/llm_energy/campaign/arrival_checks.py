"""Settings of load mode `open` that do not fit together, or not to what a trace holds."""

import math
from collections.abc import Iterator

from llm_energy.campaign.arrival_settings import LEAST_ARRIVALS
from llm_energy.campaign.arrival_trace import ArrivalTrace
from llm_energy.campaign.experiment_settings import Settings
from llm_energy.campaign.measurement_settings import Measurement
from llm_energy.campaign.types import WEEK_S
from llm_energy.system.vocabulary import OPEN

Fault = tuple[str, str]
"""Dotted setting, and what is wrong with it."""


def rate_of(settings: Settings, trace: ArrivalTrace | None) -> float | None:
    """Return the mean rate of arrivals; None where nothing gives one."""
    if settings.request_rate is None and settings.arrivals.process == "trace" and trace:
        return trace.rate
    return settings.request_rate


def arrival_faults(
    settings: Settings, timing: Measurement, trace: ArrivalTrace | None
) -> Iterator[Fault]:
    """Yield what is wrong with the arrivals of an experiment.

    Args:
        trace: the one that the settings name; None where they name none or it cannot be read.
    """
    arrivals = settings.arrivals
    if settings.load_mode != OPEN:
        if settings.request_rate is not None:
            yield "request_rate", "belongs to load mode `open`; set that, or remove it"
        return
    wants_trace = "trace" in (arrivals.process, arrivals.lengths)
    if wants_trace and settings.trace is None:
        yield "load_mode", "arrivals from a trace need `trace`, the name of one of `traces`"
    if arrivals.process != "gamma" and arrivals.burstiness != 1.0:
        yield "arrivals.burstiness", f"is for process gamma, not {arrivals.process}; remove it"
    if (rate := rate_of(settings, trace)) is None:
        if arrivals.process != "trace":
            yield "load_mode", "`open` needs a `request_rate`"
        return
    duration_s = timing.minimum_duration_s
    if rate * duration_s < LEAST_ARRIVALS:
        least_s = math.ceil(LEAST_ARRIVALS / rate)
        remedy = f"set measurement.minimum_duration_s to {least_s}"
        yield (
            "request_rate",
            f"{rate:g}/s makes {int(rate * duration_s)} arrivals in a window of {duration_s:g} s, "
            f"{LEAST_ARRIVALS} are needed; {remedy if least_s <= WEEK_S else 'raise it'}",
        )
    if trace is None or not wants_trace:
        return
    if arrivals.process == "trace":
        if rate > trace.rate * (1.0 + 1e-9):
            yield "request_rate", f"{rate:g} is more than the {trace.rate:.4g}/s of the trace"
        needed_s = duration_s + timing.tail_s
        if trace.span_s < needed_s:
            yield (
                "trace",
                f"lasts {trace.span_s:.0f} s, window and tail take {needed_s:g} s; shorten "
                "measurement.minimum_duration_s",
            )
    if arrivals.lengths == "trace" and trace.longest > settings.context_tokens:
        room = settings.context_tokens
        yield "context_tokens", f"context_tokens {room} cannot hold a request of {trace.longest}"
