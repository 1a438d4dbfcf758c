"""The task of a measurement, and the observations that were made in it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_energy.backends.runtime import ReadyEnvironment
from llm_energy.backends.server_config import server_config
from llm_energy.inputs.models import VerifiedModel
from llm_energy.measurement.arrival_recipes import TraceFile, bound_of, declared_arrivals, of_cycle
from llm_energy.power.chassis import HostPowerSource
from llm_energy.power.gates import Thermal
from llm_energy.power.gpu_targets import GpuTargets
from llm_energy.power.sensor import Method
from llm_energy.power.series import Series
from llm_energy.results.parts import GpuSet, Phase, PowerSteadiness
from llm_energy.runs.run_records import HostIdle
from llm_energy.system.cache import prompts_marker, read_marker
from llm_energy.system.vocabulary import EXACT, OPEN
from worker.arrivals import ArrivalRecipe
from worker.protocol import Event
from worker.steady import LEAST_BOUND
from worker.workload import EngineConfig, Sampling, WarmupRules, Workload

if TYPE_CHECKING:  # the campaign's models would cost every measuring job 0.1 s
    from llm_energy.campaign.campaign import Campaign
    from llm_energy.campaign.experiment import Experiment


@dataclass(frozen=True)
class ExperimentRecord:
    """An experiment as its measuring jobs need it, written when the run starts."""

    campaign: str
    name: str
    isolation: str
    runtime: str
    device: str
    """`cpu` or `gpu`."""
    sampling_hz: float
    baseline_s: float
    load_deadline_s: float
    measure_deadline_s: float
    engine: EngineConfig
    """Without the path of the model, which the job finds."""
    workload: Workload
    """Without prompts, which the job reads."""
    model: str
    prompts: str
    settings: dict[str, Any]
    """As resolved, for the result."""
    declared: dict[str, Any]
    """Settings as the campaign's file gives them, for the result."""
    protocol_version: int
    spec: dict[str, Any]
    spec_hash: str
    engine_key: str
    sampled: bool
    """Power is read in the window."""
    alone: bool
    """No other set of the host's GPUs measures meanwhile."""
    environment_id: str
    model_id: str
    prompts_id: str
    objectives: dict[str, Any] | None = None
    """Fields of `Objectives` of a result, for load mode `open`."""
    trace: TraceFile | None = None
    """The trace of arrivals, whose stretch each cycle gets another one of."""
    host_power: HostPowerSource | None = None
    """The controller that reports the power of the whole computer."""
    gpu: GpuTargets | None = None
    """Power limit and clocks that its GPUs are set to; None: as they are."""

    @classmethod
    def of(cls, campaign: "Campaign", experiment: "Experiment") -> "ExperimentRecord":
        settings, timing = experiment.settings, campaign.measurement
        return cls(
            campaign=campaign.name,
            name=experiment.name,
            isolation=campaign.isolation,
            runtime=campaign.backends[settings.backend].runtime,
            device=timing.device,
            sampling_hz=timing.sampling_hz,
            baseline_s=timing.baseline_s,
            load_deadline_s=timing.load_deadline_s,
            measure_deadline_s=timing.measure_deadline_s,
            engine=EngineConfig(
                backend=settings.backend,
                model_path="",
                dtype=settings.dtype,
                context_tokens=settings.context_tokens,
                slots=experiment.settings.slots,
                seed=settings.sampling.seed,
                options=settings.engine_options,
                server=server_config(experiment.server) if experiment.server else None,
            ),
            workload=Workload(
                mode=settings.load_mode,
                batch_size=settings.batch_size,
                output_tokens=settings.output_tokens,
                exact_length=settings.output_length == EXACT,
                prompts=(),
                sampling=Sampling(**settings.sampling.model_dump()),
                minimum_duration_s=timing.minimum_duration_s,
                tail_s=timing.tail_s,
                warmup=WarmupRules(
                    cap_s=timing.warmup_cap_s,
                    first_wave_deadline_s=timing.first_wave_deadline_s,
                    bound=bound_of(settings.request_rate, timing.warmup_cap_s)
                    if settings.load_mode == OPEN
                    else LEAST_BOUND,
                    minimum_s=timing.tail_s,
                ),
                arrivals=declared_arrivals(settings),
            ),
            model=settings.model,
            prompts=settings.prompts,
            settings=settings.resolved(),
            declared=dict(experiment.declared),
            protocol_version=experiment.spec["protocol"],
            spec=dict(experiment.spec),
            spec_hash=experiment.spec_hash,
            engine_key=experiment.engine_key,
            sampled=experiment.sampled,
            alone=experiment.alone,
            environment_id=experiment.environment.id,
            model_id=experiment.model.id,
            prompts_id=experiment.prompts.id,
            objectives=campaign.slo.in_seconds() if campaign.slo else None,
            trace=TraceFile.of(experiment.trace),
            host_power=HostPowerSource.of(timing.host_power),
            gpu=GpuTargets.of(settings.gpu.declared()),
        )


@dataclass(frozen=True)
class Job:
    """One attempt at a planned measurement."""

    experiment: ExperimentRecord
    cycle: int
    position: int
    attempt: int
    result_path: str
    """Relative to the campaign's results folder."""

    @property
    def backend(self) -> str:
        return self.experiment.engine.backend

    def arrivals(self) -> ArrivalRecipe | None:
        """Return the arrivals of its cycle; None in other load modes than `open`.

        Raises:
            PromptError: the trace is not the declared one.
        """
        load = self.experiment.workload
        if load.arrivals is None:
            return None
        length_s = load.minimum_duration_s + load.tail_s
        return of_cycle(load.arrivals, self.experiment.trace, cycle=self.cycle, length_s=length_s)

    @property
    def engine_key(self) -> str:
        """Names the engine process this job may run in: it is reused while the key stays."""
        scope = {
            "measurement": f"{self.experiment.spec_hash}/{self.cycle}/{self.attempt}",
            "cycle": f"cycle-{self.cycle}",
            "campaign": "campaign",
        }[self.experiment.isolation]
        return f"{self.experiment.engine_key}/{scope}"


@dataclass(frozen=True)
class FixedPrompts:
    """The token ids of a prompt set, fixed before measuring."""

    sha256: str
    token_ids: tuple[tuple[int, ...], ...]
    mean_input_tokens: float

    @classmethod
    def read(cls, prompts_id: str) -> "FixedPrompts":
        content = read_marker(prompts_marker(prompts_id), "sha256", "token_ids", "input_tokens")
        token_ids = tuple(map(tuple, content["token_ids"]))
        return cls(content["sha256"], token_ids, content["input_tokens"]["mean"])


@dataclass
class Observation:
    """All that was seen of one measurement, as far as it got."""

    started: str
    environment: ReadyEnvironment
    model: VerifiedModel
    prompts: FixedPrompts
    arrivals: ArrivalRecipe | None = None
    """Arrivals of the cycle in load mode `open`; None in others."""
    peer: Event = field(default_factory=dict)
    """The supervisor's state before this measurement."""
    container_engine: str | None = None
    """Name and version of the engine of its container, if it has one."""
    attached: str | None = None
    """Name of its container, where that ran already."""
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
    host_idle: HostIdle | None = None
    """Power without an engine, of this run and cycle."""
    first_host_idle: HostIdle | None = None
    """The same of the run's first cycle."""
    power: PowerSteadiness | None = None
    """The host's verdict on power at the end of the warm-up."""
    gpus_set: dict[str, GpuSet] = field(default_factory=dict)
    """GPU -> settings that were made for it; boards of another model get others."""
    own_processes: set[int] | None = None
    """Host ids of the backend's processes when the load was over."""

    @property
    def input_lengths(self) -> list[int]:
        """Token count of each prompt, by prompt index."""
        return [len(ids) for ids in self.prompts.token_ids]

    def add_phase(self, name: str, start: float, end: float) -> None:
        self.phases.append(Phase(name=name, start_monotonic_s=start, end_monotonic_s=end))
