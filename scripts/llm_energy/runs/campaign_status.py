"""The state of a campaign in numbers, and its text for Prometheus.

`results/{campaign}/status.prom` has it for node_exporter's textfile collector. It is replaced as a
whole when a measurement begins and when it has ended, never in its window.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from llm_energy.system.files import write_atomically

STATUS_FILE = "status.prom"
STATES = ("done", "failed", "running", "pending")


@dataclass(frozen=True)
class LastResult:
    """The newest result of a campaign."""

    experiment: str
    cycle: int
    finished: str
    """ISO 8601, UTC."""
    output_tokens_per_second: float | None
    joules_per_output_token: float | None
    reason: str | None
    """Reason code where it has no energy."""


@dataclass(frozen=True)
class BackendHealth:
    """A backend of the run that goes on."""

    healthy: bool
    """False from a failure of its infrastructure to its next success, or until it is given up."""
    failures_in_a_row: int


@dataclass(frozen=True)
class CampaignStatus:
    """One campaign at one moment."""

    campaign: str
    written: str
    """ISO 8601, UTC."""
    run_active: bool
    measurements: Mapping[str, int]
    """State (`done`, `failed`, `running`, `pending`) -> number of measurements."""
    time_left_s: float
    """Estimated, for what is running and pending."""
    last: LastResult | None = None
    backends: Mapping[str, BackendHealth] = field(default_factory=dict)
    """Those of the runs that go on, by name."""
    recoveries: Mapping[str, int] = field(default_factory=dict)
    """Kind of event -> how often it occurred in all runs of the campaign."""
    waits_for: Sequence[str] = ()
    """A GPU that the start of a run or of an allocation waits for, and who uses it; each that waits
    once."""


def write_status(results: Path, status: CampaignStatus) -> None:
    """Replace `status.prom` of a campaign."""
    write_atomically(results / STATUS_FILE, prometheus_text(status).encode())


def prometheus_text(status: CampaignStatus) -> str:
    """Return the numbers in Prometheus' text format; one that is not known has no line."""
    samples: list[tuple[str, str, str, Mapping[str, str], float | None]] = []

    def add(name: str, text: str, value: float | None, **labels: str) -> None:
        kind = "counter" if name.endswith("_total") else "gauge"
        samples.append((name, kind, text, labels, value))

    for state in STATES:
        text = "Measurements of the campaign by state."
        add("measurements", text, status.measurements.get(state, 0), state=state)
    add("run_active", "1 while a run adds to the campaign.", float(status.run_active))
    text = "Estimated time for the measurements that are left."
    add("time_left_seconds", text, status.time_left_s)
    add("status_timestamp_seconds", "Time of these numbers.", _seconds(status.written))
    if last := status.last:
        of = {"experiment": last.experiment}
        text = "Joules per output token of the newest result."
        add("last_result_joules_per_output_token", text, last.joules_per_output_token, **of)
        text = "Throughput of the newest result."
        add("last_result_output_tokens_per_second", text, last.output_tokens_per_second, **of)
        text = "Time at which the newest result was finished."
        add("last_result_timestamp_seconds", text, _seconds(last.finished), **of)
    for name, health in sorted(status.backends.items()):
        text = "1 if the last measurement of the backend did not fail by its infrastructure."
        add("backend_healthy", text, float(health.healthy), backend=name)
        text = "Failures in a row of the backend's infrastructure."
        add("backend_failures_in_a_row", text, health.failures_in_a_row, backend=name)
    for kind, count in sorted(status.recoveries.items()):
        text = "Recoveries of backends, and failures to recover, by kind of event."
        add("recoveries_total", text, count, kind=kind)
    return _format(status.campaign, samples)


def _format(
    campaign: str,
    samples: Iterable[tuple[str, str, str, Mapping[str, str], float | None]],
) -> str:
    """Return samples with the help and type of each name, those of one name together."""
    families: dict[str, list[str]] = {}
    for name, kind, help_text, labels, value in samples:
        if value is None:
            continue
        full = f"llm_energy_{name}"
        head = [f"# HELP {full} {help_text}", f"# TYPE {full} {kind}"]
        pairs = ",".join(
            f'{k}="{_escaped(v)}"' for k, v in {"campaign": campaign, **labels}.items()
        )
        families.setdefault(full, head).append(f"{full}{{{pairs}}} {value}")
    return "\n".join(line for lines in families.values() for line in lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
