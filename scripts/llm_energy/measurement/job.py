"""What a measurement is asked to do, and what was seen of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_energy.backends.session import Event
from llm_energy.inputs.models import VerifiedModel
from llm_energy.power.gates import Thermal
from llm_energy.power.sensor import Method
from llm_energy.power.series import Series
from llm_energy.results.parts import Phase, PowerSteadiness


@dataclass(frozen=True)
class Job:
    """One cell of the campaign, as its run wrote it down."""

    experiment: str
    cycle: int
    position: int
    attempt: int
    result_path: str
    """Relative to the campaign's results folder."""
    facts: Mapping[str, Any]
    """What the run wrote down of the experiment when it started (`Lifecycle`)."""

    @property
    def settings(self) -> Mapping[str, Any]:
        settings: Mapping[str, Any] = self.facts["settings"]
        return settings

    @property
    def timing(self) -> Mapping[str, Any]:
        timing: Mapping[str, Any] = self.facts["measurement"]
        return timing

    @property
    def sampled(self) -> bool:
        """Whether power is read in the window."""
        return bool(self.facts["sampled"])

    @property
    def engine_key(self) -> str:
        """Names the engine process this job may run in: it is reused while the key stays."""
        scope = {
            "measurement": f"{self.experiment}/{self.cycle}/{self.attempt}",
            "cycle": f"cycle-{self.cycle}",
            "campaign": "campaign",
        }[self.facts["isolation"]]
        return f"{self.facts['engine_key']}/{scope}"


@dataclass
class Observation:
    """All that was seen of one measurement, as far as it got."""

    started: str
    environment: Mapping[str, Any]
    model: VerifiedModel
    prompts: Mapping[str, Any]
    peer: Event = field(default_factory=dict)
    """The supervisor's state before this measurement."""
    loaded: Event | None = None
    measured: Event | None = None
    waited_s: float = 0.0
    """How long other measurements held the devices; no part of what this one takes."""
    out_of_memory: str | None = None
    phases: list[Phase] = field(default_factory=list)
    series: Series | None = None
    method: Method = "counter"
    """The campaign's source of energy."""
    thermal: Thermal = field(default_factory=Thermal)
    host_idle_watts: Mapping[str, float] = field(default_factory=dict)
    """Device -> power without an engine, of this run and cycle."""
    first_host_idle_watts: Mapping[str, float] = field(default_factory=dict)
    """The same of the run's first cycle."""
    power: PowerSteadiness | None = None
    """The host's verdict at the end of the warm-up."""
    own_processes: set[int] | None = None
    """Host ids of the backend's processes when the load was over."""

    @property
    def input_lengths(self) -> list[int]:
        """Token count of each prompt, by prompt index."""
        return [len(ids) for ids in self.prompts["token_ids"]]

    def add_phase(self, name: str, start: float, end: float) -> None:
        self.phases.append(Phase(name=name, start_monotonic_s=start, end_monotonic_s=end))
