"""The records in the folder of a run, as `Run.write` writes and `Run.read` reads them."""

from dataclasses import dataclass, field

from llm_energy.system.host import HostDescription
from llm_energy.system.processes import ProcessId


@dataclass(frozen=True)
class RunRecord:
    """Identity, owner and place of a run: `run.json`."""

    run_id: str
    campaign: str
    results: str
    """Folder of the campaign's results, absolute."""
    host_facts: HostDescription
    owner: ProcessId
    code_digest: str
    started: str
    sockets: str
    """Folder of the backends' sockets: their paths hold 107 characters at most."""
    invocation: str | None = None
    """The run that submitted the allocation of this one."""
    job: str | None = None
    """Slurm's id of that allocation."""

    @property
    def session_id(self) -> str:
        return f"{self.owner.boot[:8]}-{self.run_id}"


@dataclass(frozen=True)
class PlanEntry:
    """One measurement that a run may make."""

    experiment: str
    cycle: int
    position: int
    result: str
    """Relative to the campaign's results folder."""
    expected_s: float
    """From the least length of its phases: what was seen is in `durations.jsonl`."""
    decision: str | None = None
    """File of the decision that may ask for it, relative to the results; None: it is requested."""


@dataclass(frozen=True)
class HostIdle:
    """Power of the host's devices without an engine, in one cycle."""

    taken_monotonic_s: float
    watts: dict[str, float]
    """By device."""
    uncertainty_watts: dict[str, float] = field(default_factory=dict)
    """Standard uncertainty of each, by device; records of earlier versions have none."""


@dataclass(frozen=True)
class Spread:
    """An invocation that starts nothing itself, for the runs of its allocations."""

    device: str
    new_device: bool
    schedule: tuple[str, ...]
    """Every result of the campaign, relative to its results folder."""


@dataclass(frozen=True)
class Measuring:
    """The measurement that is going on."""

    result: str
    """Relative to the campaign's results folder."""
    attempt: int
    started: str
    process: ProcessId
    """Who measures."""
    waits_for: str | None = None
    """A device that another measurement uses, and who; None while it measures."""
