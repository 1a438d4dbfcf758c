"""The records in the folder of a run, as `Run.write` writes and `Run.read` reads them."""

from collections.abc import Collection
from dataclasses import dataclass, field

from llm_energy.system.host import HostDescription
from llm_energy.system.processes import ProcessId


@dataclass(frozen=True)
class DeviceSet:
    """The GPUs that one measurement gets, of several sets that are measured on at once."""

    devices: tuple[str, ...]
    """By UUID."""
    cpus: tuple[int, ...] | None = None
    """The CPUs near all of them, which its engines are bound to; None where it is not known."""

    def __str__(self) -> str:
        return ", ".join(self.devices)


@dataclass(frozen=True)
class RunRecord:
    """Identity, owner and place of a run: `run.json`."""

    run_id: str
    campaign: str
    results: str
    """Folder of the campaign's results, relative to where the workflow runs."""
    host_facts: HostDescription
    owner: ProcessId
    code_digest: str
    started: str
    sockets: str
    """Folder of the backends' sockets: their paths hold 107 characters at most."""
    invocation: str | None = None
    """The run that this one is a part of: an allocation, or a set of devices."""
    job: str | None = None
    """Slurm's id of its allocation."""
    device_set: DeviceSet | None = None
    """Its share of the host's GPUs; None: all."""
    shares_host: bool = False
    """Other parts measure on this host at the same time."""
    variables: dict[str, str] = field(default_factory=dict)
    """Environment variables of the user that may change what engines do (`decisive`)."""

    @property
    def cpu_set(self) -> list[int] | None:
        """Numbers of the CPUs that its engines are bound to; None where they are not."""
        cpus = self.device_set and self.device_set.cpus
        return list(cpus) if cpus else None

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
    searched: bool = False
    """True for a rate that a search may come to; it did where one of its cycles is there."""
    alone: bool = False
    """True where no other set of its host measures meanwhile."""


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
    """A run that measures nothing itself: each of its blocks lies in a run that is a part of it,
    an allocation or a set of devices."""

    device: str
    new_device: bool
    schedule: tuple[str, ...] = ()
    """In records of earlier versions; now it is a file of its own, which no measuring job reads."""
    sets: tuple[DeviceSet, ...] = ()
    """The sets of this host; empty where the parts are allocations."""
    begun: dict[str, int] = field(default_factory=dict)
    """Cycle -> index of the set that an earlier run began it on."""
    at_once: int = 1
    """Measurements that run at the same time; where parts are allocations, in each of them."""
    loads_at_once: int = 1
    """Engines that may load at the same time."""
    gpus_of_set: int | None = None
    """GPUs of each of the sets that an allocation is spread over; None where it is one itself."""

    def set_of(self, cycle: int, lost: Collection[int] = ()) -> int:
        """Return the index of the set that a block lies on; where that is lost, of another.

        The number of the cycle decides, not which set is free: then no set gets more blocks
        because it is faster, and nothing has to be held from one job of a block to the next.
        """
        index = self.begun.get(str(cycle), (cycle - 1) % len(self.sets))
        left = [other for other in range(len(self.sets)) if other not in lost]
        if index not in lost or not left:
            return index
        return left[(cycle - 1) // len(self.sets) % len(left)]


@dataclass(frozen=True)
class GivenUp:
    """A set of devices that is measured on no more in this run."""

    reason: str


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
