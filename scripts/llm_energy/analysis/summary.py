"""The summary of a campaign: its tables and findings, and the files that keep them between jobs."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field
from pydantic_core import to_json

from llm_energy.analysis.carry_over import CarryOver
from llm_energy.analysis.controls import ControlFinding
from llm_energy.analysis.courses_over_time import CycleDependence, ShortWarmups, WarmupTrace
from llm_energy.analysis.design import Design
from llm_energy.analysis.device_differences import DeviceDifference
from llm_energy.analysis.highest_good import HighestGoodRate
from llm_energy.analysis.table_columns import csv_of
from llm_energy.analysis.two_stages import CyclesDecided
from llm_energy.results.parts import Model
from llm_energy.stats.drift import RunDrift
from llm_energy.system.files import read_regular, write_atomically
from llm_energy.system.scripting import UserError

Verdict = Literal["different", "equivalent", "inconclusive", "not_testable"]
"""`equivalent`: shown to lie within the margin. `different`: the simultaneous interval excludes 1.
Both are adjusted for the family. `not_testable`: there is no interval."""


class Gap(Model):
    """Something that was planned or recorded and is not there, or cannot be used."""

    path: str
    """Relative to the campaign's results folder."""
    reason: str


class OutcomeCounts(Model):
    """Outcomes of the planned cycles of one experiment."""

    experiment: str
    planned: int
    completed: int
    energy_invalid: int
    """Completed ones that were metered, and whose energy must not be used."""
    out_of_memory: int
    missing: int
    unusable: int


class Failure(Model):
    """One failed attempt; `path` is its record, relative to the campaign's results folder."""

    path: str
    experiment: str
    cycle: int
    attempt: int
    reason: str
    message: str
    anchor: bool = False
    """True for an anchor, whose number `cycle` is then."""


class CodeUse(Model):
    """A flag or a reason code, and how many measurements carry it."""

    code: str
    meaning: str
    measurements: int
    example: str
    """Message of the first of them; may be empty."""


class DeviceSensors(Model):
    """Energy counter against integrated instant power of one device, over all windows."""

    device: str
    median_ratio: float
    """Counter over integral; comparisons on one device do not depend on it if it is a gain."""
    median_ratio_idle: float | None
    """The same while the loaded engine was idle."""
    windows: int
    """Measurements that have both."""
    deviating: int
    warning: str | None
    """Meaning of a stable offset of the two sensors; None where they agree."""


class Comparison(Model):
    """The ratio of one experiment to another, of geometric means over cycles."""

    experiment: str
    base: str
    """The experiment that it is compared with."""
    metric: str
    factor: str | None
    """The axis along which the two differ; None in comparisons with the reference."""
    level: str | None
    base_level: str | None
    pairs: int
    """Blocks (cycle, session) with both sides; 0 where the sides were measured apart."""
    ratio: float
    low: float | None
    """95 % interval, not adjusted for other comparisons; None under three pairs."""
    high: float | None
    simultaneous_low: float | None
    """Interval that holds with 95 % together with those of its whole family."""
    simultaneous_high: float | None
    p_value: float | None
    """Two-sided, of a ratio of 1, not adjusted."""
    p_value_holm: float | None
    """Adjusted over its family by Holm's method."""
    equivalence_p_value_holm: float | None = None
    """Two one-sided tests of a ratio outside the margin, adjusted likewise."""
    family: int
    """Comparisons adjusted for: those of one metric with the reference, or along one axis."""
    verdict: Verdict
    marks: list[str]
    """Codes of what else differs, such as `other_session`; the sentence has them in words."""
    sentence: str
    """The comparison in words, without the names of the two."""


class AnchorRatio(Model):
    """The reference, measured once more in a later session, over what it was before."""

    experiment: str
    session_id: str
    metric: str
    ratio: float
    """To the geometric mean of its `earlier` cycles in other sessions."""
    earlier: int


class FrontPoint(Model):
    """One experiment among those that are traded off against each other."""

    experiment: str
    device_model: str
    power_limit_watts: float | None
    status: Literal["non_dominated", "not_distinguishable", "dominated"]
    """`non_dominated`: no other is better in both metrics; `not_distinguishable`: another is, but
    not clearly; `dominated`: another is clearly better in both, by paired 95 % intervals, not
    adjusted."""
    certain: bool
    """True where `dominated`, or where every other is clearly worse in one of the metrics."""
    dominated_by: str | None


class Front(Model):
    """The Pareto front of `against` (energy per output token; throughput where no energy was
    measured) and another metric."""

    metric: str
    against: str
    load_mode: str
    request_rate: float | None = None
    """Rate of arrivals in load mode `open`: fronts of other rates are others."""
    energy_scope: str | None
    mixed_tokenizers: bool
    """Then a token is not the same work everywhere."""
    points: list[FrontPoint]


class DecodeEnergy(Model):
    """Energy of decoding: slope of energy per request over output length, prefill left out."""

    experiments: list[str]
    """They differ in output length alone, in its order."""
    output_lengths: list[int]
    cycles: int
    joules_per_output_token: float
    low: float | None
    """Repeatability interval: 95 % t interval over cycles; None for one cycle."""
    high: float | None
    total_low: float | None
    """Total interval: repeatability and the limits of the power sensor together, 95 %."""
    total_high: float | None
    worst_residual_relative: float
    """Greatest distance from the line, over the energy at that length."""
    energy_scope: str


class Refusal(Model):
    """Two experiments that must not be compared, and why."""

    experiment: str
    base: str
    metric: str
    reason: str


class Event(Model):
    """A recovery or another event that a run recorded."""

    run_id: str
    time: str
    kind: str
    detail: str
    """The event in one sentence."""


class Findings(Model):
    """All that the tables do not hold."""

    design: Design
    planned: int
    completed: int
    out_of_memory: int
    missing: list[Gap]
    unusable: list[Gap]
    side_file_gaps: list[Gap]
    failures: list[Failure]
    events: list[Event]
    flags: list[CodeUse]
    energy_reasons: list[CodeUse]
    """Why completed measurements have no energy."""
    devices: list[DeviceSensors]
    """Devices whose counter and instant power were both read."""
    short_warmups: ShortWarmups | None = None
    cycle_dependence: list[CycleDependence] = Field(default=[])
    warmups: list[WarmupTrace]
    drift: RunDrift | None
    """Drift of the `watched_speed`; None without an experiment that was measured often enough."""
    energy_drift: RunDrift | None
    counts: list[OutcomeCounts]
    comparisons: list[Comparison] = Field(default_factory=list)
    """With the reference of the design, if it names one."""
    axis_comparisons: list[Comparison] = Field(default_factory=list)
    """Along each axis, with all else being equal."""
    refused_comparisons: list[Refusal] = Field(default_factory=list)
    fronts: list[Front] = Field(default_factory=list)
    decode: list[DecodeEnergy]
    anchors: list[AnchorRatio] = Field(default_factory=list)
    """Anchors of sessions that added to the campaign without the reference."""
    controls: list[ControlFinding] = Field(default_factory=list)
    """In declared order; empty where the campaign asks for none."""
    carry_over: list[CarryOver] = Field(default_factory=list)
    device_differences: list[DeviceDifference] = Field(default_factory=list)
    """Devices of one model against each other; empty where one was measured on."""
    cycles_decided: list[CyclesDecided] = Field(default_factory=list)
    """Numbers of adaptive cycles; empty where their number was given."""
    highest_good: list[HighestGoodRate] = Field(default_factory=list)
    """Outcomes of the searches for the highest rate that keeps the objectives."""
    assumed: str | None = None
    """Assumptions of cost and carbon in words; None where they are not computed."""

    @property
    def complete(self) -> bool:
        return not self.missing and not self.unusable


@dataclass(frozen=True, eq=False)  # tables have no truth value: each summary equals itself alone
class Summary:
    findings: Findings
    measurements: pd.DataFrame
    experiments: pd.DataFrame
    power: pd.DataFrame
    latencies: pd.DataFrame
    requests: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Rows of `RequestsRow`, for the page alone: results hold them in full, no file of the summary
    does."""


TABLES = ("measurements", "experiments", "power", "latencies")
"""Tables of a summary; each is a Parquet file of that name."""

FLAT_TABLES = ("measurements", "experiments")
"""Tables without lists as values, which are CSV files as well."""


def write_summary(folder: Path, summary: Summary) -> None:
    """Write the tables (CSV for people, Parquet for programs) and `summary.json` to `folder`."""
    for name in TABLES:
        table: pd.DataFrame = getattr(summary, name)
        if name in FLAT_TABLES:
            write_atomically(folder / f"{name}.csv", csv_of(table))
        write_atomically(folder / f"{name}.parquet", table.to_parquet(index=False))
    write_atomically(folder / "summary.json", to_json(summary.findings, indent=1) + b"\n")


def read_summary(folder: Path) -> Summary:
    """Read the summary that `write_summary` wrote.

    Raises:
        UserError: a file of it is missing, damaged or of another version; all are made again.
    """
    path = folder / "summary.json"
    try:
        findings = Findings.model_validate_json(read_regular(path))
        tables = {}
        for name in TABLES:
            path = folder / f"{name}.parquet"
            tables[name] = pd.read_parquet(io.BytesIO(read_regular(path)))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "damaged, or of another version"
        raise UserError(
            f"{path}: {reason}; remove {folder}, and the campaign's next run makes it again"
        ) from error
    return Summary(findings, **tables)
