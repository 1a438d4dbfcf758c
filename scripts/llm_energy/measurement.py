"""One measurement from start to end: the story, in the order in which it happens.

The host drives and meters; the worker inside the backend loads, warms up and generates. Both
stamp times on CLOCK_MONOTONIC, which a host and its containers share. What was seen is handed on
as an `Observation`; `assemble.py` makes the result of it.
"""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from llm_energy import locks
from llm_energy.backends import registry
from llm_energy.backends.dispatch import EngineReportedError, Event, Session
from llm_energy.backends.runtime import BackendError, runtime_named
from llm_energy.cache import model_marker, prompts_marker
from llm_energy.inputs.models import VerifiedModel, verify_model
from llm_energy.power.detect import open_meters
from llm_energy.power.meter import Device, Meter, Reading
from llm_energy.power.sampler import Sampler
from llm_energy.power.series import Series
from llm_energy.processes import process_name
from llm_energy.results import Phase
from llm_energy.runs import Run, utc_now

STEADY_VARIATION = 0.10
"""Coefficient of variation of wave throughput above which a warm-up is not steady. Provisional."""

STEADY_BOUND = 0.01
"""Relative trend over the tested waves that counts as none (equivalence bound)."""

STEADY_BOUND_LIMIT = 0.03
"""The widest bound that noise may force before the warm-up counts as not steady."""

GPU_SCOPES = ("gpu_board", "module")

LEFTOVERS_GONE_S = 10.0
"""How long a killed process may still be listed as computing."""

MINIMUM_WAVES = 3
"""Least waves in a warm-up and in a window."""


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
    """All that was seen of one measurement."""

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

    @property
    def input_lengths(self) -> list[int]:
        """Token count of each prompt, by prompt index."""
        return [len(ids) for ids in self.prompts["token_ids"]]

    def add_phase(self, name: str, start: float, end: float) -> None:
        self.phases.append(Phase(name=name, start_monotonic_s=start, end_monotonic_s=end))


def measure(job: Job, run: Run) -> Observation:
    """Measure one cell.

    Raises:
        BackendError: the measurement failed; the reason code says whether it may be tried again.
        ModelError: the model's files are not those that were declared.
    """
    facts, backend = job.facts, job.settings["backend"]
    seen = Observation(
        started=utc_now(),
        environment=registry.read_environment(facts["environment_id"]),
        model=verify_model(model_marker(facts["model_id"])),
        prompts=read_prompts(facts["prompts_id"]),
    )
    with ExitStack() as stack:
        meters = open_meters(cpu_model=run.facts["host_facts"]["cpu_model"])
        for meter in meters:
            stack.callback(meter.close)
        before = time.monotonic()
        stack.enter_context(locks.devices(working_devices(job, meters)))
        stack.enter_context(locks.waiting(run.measuring_lock))
        seen.started, seen.waited_s = utc_now(), time.monotonic() - before
        record = registry.ensure_backend(run, backend)
        registry.unload_others(run, backend)
        sampler = Sampler(meters, rate_hz=job.timing["sampling_hz"])
        with registry.trusted(run, record) as session, sampler:
            seen.peer = session.peer
            if session.peer["engine"] is None and gpus_of(meters):
                refuse_leftovers(meters, runtime_named(record.runtime).processes(record))
            try:
                load(session, job, str(seen.model.path), seen)
                idle(job.timing["baseline_s"], seen)
                warm_up_and_run(session, job, seen)
            except EngineReportedError as failure:
                if failure.reason != "out_of_memory":
                    raise
                seen.out_of_memory = str(failure)  # a legitimate outcome of its configuration
        seen.series = sampler.series()
    return seen


def working_devices(job: Job, meters: Sequence[Meter]) -> list[str]:
    """What no other measurement of the host may use meanwhile: `cpu`, or the GPUs by UUID."""
    if job.timing["device"] == "cpu":
        return ["cpu"]
    return [gpu.id for _, gpu in gpus_of(meters)] or ["gpu"]


def gpus_of(meters: Sequence[Meter]) -> list[tuple[Meter, Device]]:
    """The GPUs of this host, each with the meter that reads it."""
    return [(m, device) for m in meters for device in m.devices if device.scope in GPU_SCOPES]


def refuse_leftovers(meters: Sequence[Meter], own: Collection[int]) -> None:
    """Before an engine starts, nobody may compute on its GPUs: not even what an engine left.

    A process that was just killed may be listed for a moment longer, so it is given some time.

    Args:
        own: host ids of the backend's processes.

    Raises:
        BackendError: `device_occupied`, with the processes and their GPUs.
    """
    deadline = time.monotonic() + LEFTOVERS_GONE_S
    while found := [
        f"{process_name(pid)} ({pid}) on {gpu.id}"
        for meter, gpu in gpus_of(meters)
        for pid in computing(meter.read(gpu, slow=True)) - set(own)
    ]:
        if time.monotonic() > deadline:
            message = f"other processes compute there: {', '.join(found)}; end them"
            raise BackendError("device_occupied", message)
        time.sleep(0.5)


def computing(reading: Reading) -> set[int]:
    """Processes with a compute context; none where the device does not tell."""
    return set(reading.state.process_ids or ()) if reading.state else set()


def read_prompts(prompts_id: str) -> Mapping[str, Any]:
    """The token ids of a prompt set, fixed before measuring."""
    prompts: dict[str, Any] = json.loads(prompts_marker(prompts_id).read_text())
    return prompts


def load(session: Session, job: Job, model_path: str, seen: Observation) -> None:
    """Have the engine loaded, or reused where this job may share its process."""
    settings = job.settings
    before = time.monotonic()
    seen.loaded = session.request(
        "load",
        deadline_s=job.timing["load_deadline_s"],
        key=job.engine_key,
        engine={
            "backend": settings["backend"],
            "model_path": model_path,
            "dtype": settings["dtype"],
            "context_tokens": settings["context_tokens"],
            "slots": job.facts["slots"],
            "options": settings["engine_options"],
            "seed": settings["sampling"]["seed"],
        },
    )
    seen.add_phase("load", before, time.monotonic())


def idle(duration_s: float, seen: Observation) -> None:
    """Leave the loaded engine alone: the baseline that is subtracted lies here."""
    before = time.monotonic()
    time.sleep(duration_s)
    seen.add_phase("idle", before, time.monotonic())


def warm_up_and_run(session: Session, job: Job, seen: Observation) -> None:
    """Warm-up, window and tail: one request, so that nothing comes between them."""
    settings, timing = job.settings, job.timing
    seen.measured = session.request(
        "measure",
        deadline_s=timing["measure_deadline_s"],
        workload={
            "mode": settings["load_mode"],
            "batch_size": settings["batch_size"],
            "output_tokens": settings["output_tokens"],
            "prompts": seen.prompts["token_ids"],
            "sampling": settings["sampling"],
            "minimum_duration_s": timing["minimum_duration_s"],
            "minimum_waves": MINIMUM_WAVES,
            "tail_s": timing["tail_s"],
            "warmup": {
                "cap_s": timing["warmup_cap_s"],
                "first_wave_deadline_s": timing["first_wave_deadline_s"],
                "minimum_waves": MINIMUM_WAVES,
                "cv_threshold": STEADY_VARIATION,
                "bound": STEADY_BOUND,
                "maximum_bound": STEADY_BOUND_LIMIT,
                "await_host": False,
            },
        },
    )
    for name in ("warmup", "window", "tail"):
        phase = seen.measured[name]
        seen.add_phase(name, phase["start"], phase["end"])
