"""The part of a result that load mode `open` adds: rates, objectives, saturation."""

from typing import Final, Literal

from llm_energy.results.parts import Distribution, Int64, Model

STABLE: Final = "stable"
SATURATED: Final = "saturated"
UNDECIDED: Final = "undecided"
Saturation = Literal["stable", "saturated", "undecided"]

NOT_REPORTED: Final = "server_reports_no_batches"
"""Reason for an unknown batch size: the client of a server sees its own requests alone."""


class Objectives(Model):
    """Objectives of a request's latency, from its scheduled arrival; None where there is none."""

    time_to_first_token_s: float | None = None
    inter_token_latency_s: float | None = None
    """The mean gap between the tokens of one request."""
    end_to_end_s: float | None = None
    share: float = 0.9
    """Share of the requests that must keep all of them."""


class Attained(Model):
    """Requests of the window that kept the objectives."""

    objectives: Objectives
    good: Int64
    """Requests that ended with the requested tokens and kept every objective."""
    attainment: float
    """Their share of all requests that arrived in the window."""
    goodput_per_second: float
    """Good requests over the duration of the window."""
    joules_per_good_request: float | None
    """Energy of the window over good requests; none without a good request or an energy, and none
    where the queue grows."""


class Lateness(Model):
    """Time from the scheduled arrival of a request to its submission, in seconds."""

    p50_s: float
    p99_s: float
    maximum_s: float


class Course(Model):
    """Means over equal pieces of the window, in order."""

    in_flight: list[float]
    """Requests that were submitted and had not ended."""
    waiting: list[float]
    """Requests that had arrived by the schedule and had no token yet."""


class OpenLoad(Model):
    """The window of load mode `open`. Requests count by their scheduled arrival in it."""

    schedule_sha256: str
    """SHA-256 of the schedule: offset, prompt and lengths of each arrival."""
    arrivals: Int64
    completed: Int64
    """Requests of the window that ended with the tokens that were requested."""
    failed: Int64
    """Those that the engine failed."""
    cut: Int64
    """Those that ended with fewer tokens."""
    unfinished: Int64
    """Those that had not ended when they were followed no further."""
    offered_per_second: float
    """Arrivals over the duration of the window."""
    achieved_per_second: float
    """Requests that ended in the window, whole, over its duration."""
    saturation: Saturation
    """`saturated` where arrivals exceed ends by more than max(3 √arrivals, 5 %). Otherwise
    `undecided` where the median time to first token more than doubles from the first third of the
    window to the last, as it does by chance near capacity, and with too few requests to tell."""
    excess: Int64
    """Arrivals less ends inside the window, of whichever requests."""
    first_token_growth: float | None
    """Median time to first token of the last third over that of the first."""
    lateness: Lateness
    time_to_first_token_from_submission_s: Distribution | None
    """Without the wait for the load generator; `latency` counts from the scheduled arrival."""
    course: Course
    in_flight_mean: float
    batch_size_mean: float | None
    """Requests that were decoded together, mean over the time in which there was one. None of a
    server, as `batch_size_reason` says."""
    batch_size_maximum: Int64 | None
    batch_size_reason: Literal["server_reports_no_batches"] | None = None
    """Reason for an unknown batch size; `in_flight_mean` is the client's own count instead."""
    idle_share: float
    """Share of the window's time without a request in flight."""
    idle_energy_share: float | None
    """Share of the window's energy in that time; none without an energy, or where the sensor
    resolves none of that time."""
    attained: Attained | None
    """None where the campaign has no objectives."""
