"""One measurement from start to end: the story, in the order in which it happens.

The host drives and meters; the worker inside the backend loads, warms up and generates. Both
stamp times on CLOCK_MONOTONIC, which a host and its containers share. What was seen is kept in an
`Observation`; `build_result.py` makes the result of it.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import partial

from llm_energy.backends import running
from llm_energy.backends.running import runtime_named
from llm_energy.backends.runtime import read_environment
from llm_energy.backends.session import EngineReportedError, Session
from llm_energy.inputs.models import verify_model
from llm_energy.measurement import host_idle, known_loads
from llm_energy.measurement.device_exclusivity import (
    lock_names,
    refuse_leftovers,
    refuse_lost,
    working_devices,
)
from llm_energy.measurement.gpu_limits import set_gpus
from llm_energy.measurement.job import FixedPrompts, Job, Observation
from llm_energy.measurement.job_meters import job_meters
from llm_energy.measurement.power_watch import PowerWatch, span_s
from llm_energy.power import gates, sources
from llm_energy.power.meter import Device, Meter
from llm_energy.power.sampler import Sampler
from llm_energy.power.sensor import QUANTITY, Method
from llm_energy.power.series import Series
from llm_energy.runs import progress
from llm_energy.runs.progress import human_duration
from llm_energy.runs.run import Run, utc_now
from llm_energy.runs.run_parts import host_share, loading
from llm_energy.system import locks
from llm_energy.system.cache import model_marker
from worker.protocol import OUT_OF_MEMORY, Event, Load, Measure, Steady, Unload
from worker.workload import Workload

LOOK_S = 0.2
"""How often a gate is tried."""


@dataclass(frozen=True)
class Watch:
    """The sampler that runs along, and the devices whose energy counts."""

    sampler: Sampler
    devices: tuple[Device, ...]
    method: Method

    def series(self, since_s: float) -> Series:
        """The readings since a moment on CLOCK_MONOTONIC."""
        return self.sampler.series(since_s=since_s)

    def wait_for(self, gate: Callable[[Series], bool], *, span_s: float, cap_s: float) -> bool:
        """Try a gate on the readings of the last `span_s` until it holds; whether it did."""
        start_s = time.monotonic()
        while not gate(self.series(time.monotonic() - span_s)):
            if time.monotonic() - start_s > cap_s:
                return False
            time.sleep(LOOK_S)
        return True

    def settle(self, rest_s: float) -> bool:
        """Wait until all devices are at rest; twice as long as they are then watched at most.

        Returns:
            False where they were not, and are known not to be by the last `rest_s`.
        """
        quiet_s = min(gates.QUIET_S, rest_s)
        at_rest = partial(
            gates.quiet,
            devices=self.devices,
            method=self.method,
            start_s=time.monotonic(),
            span_s=quiet_s,
        )
        return self.wait_for(at_rest, span_s=quiet_s + 1.0, cap_s=2.0 * rest_s) or at_rest(
            self.series(time.monotonic() - rest_s - 1.0),
            span_s=rest_s,
            uncertainties=gates.QUIET_UNCERTAINTIES,
        )


def prepare(job: Job) -> Observation:
    """Read what is known of a measurement before anything is started.

    Raises:
        BackendError: the environment is not ready.
        ModelError: the model's files are not those that were declared.
    """
    return Observation(
        started=utc_now(),
        environment=read_environment(job.experiment.environment_id),
        model=verify_model(model_marker(job.experiment.model_id)),
        prompts=FixedPrompts.read(job.experiment.prompts_id),
        arrivals=job.arrivals(),
    )


def measure(job: Job, run: Run, seen: Observation, show: Callable[[str], None]) -> None:
    """Measure one cell; `seen` holds what was observed, also where it ends in an error.

    Args:
        show: takes the phase that begins, in words; nothing is shown in a window on the CPU.

    Raises:
        BackendError: the measurement failed; the reason code says whether it may be tried again.
    """
    backend, device, record = job.backend, job.experiment.device, run.record
    gpus = running.declared_backend(run, backend).container.gpus
    with ExitStack() as stack:

        def opened() -> tuple[Meter, ...]:
            found = job_meters(job, record)
            for meter in found:
                stack.callback(meter.close)
            return found

        meters = opened()
        working = working_devices(meters, device=device, gpus=gpus)
        if record.device_set:
            refuse_lost(record.device_set, working)
        before = time.monotonic()
        names = lock_names(working, device=device)
        stack.enter_context(
            locks.devices(
                names,
                blocked=lambda name, user: progress.note_waiting(run, f"{name}, used by {user}"),
            )
        )
        stack.enter_context(locks.waiting(run.measuring_lock))
        alone, name = job.experiment.alone, f"{job.experiment.name} cycle {job.cycle}"
        others = "all other sets to end" if alone else "a measurement that is made alone"
        stack.enter_context(
            host_share(run, alone=alone, blocked=lambda _: progress.note_waiting(run, others, name))
        )
        progress.note_waiting(run, None)
        seen.started, seen.waited_s = utc_now(), time.monotonic() - before
        if device == "gpu":
            seen.gpus_set = set_gpus(job, run, working)
            # Their descriptions have the limit that is enforced when they are opened.
            meters = opened()
            working = working_devices(meters, device=device, gpus=gpus)
        show("starting the backend")
        started = running.ensure_backend(run, backend)
        seen.container_engine, seen.attached = started.container_engine, started.attached
        running.unload_others(run, backend)
        devices = tuple(d for _, d in working)
        lock = run.invocation.folder / "sensors.lock"
        seen.method, abilities = sources.campaign_source(run.results, meters, devices, lock=lock)
        watch = Watch(Sampler(meters, rate_hz=job.experiment.sampling_hz), devices, seen.method)
        own_processes = partial(runtime_named(started.runtime).processes, started)
        with running.trusted(run, started) as session:
            seen.peer = session.peer
            attached = job.experiment.engine.attached  # its processes are not ours to know
            if session.peer["engine"] is None and device == "gpu" and not attached:
                refuse_leftovers(working, own_processes() if working else ())
            try:
                with watch.sampler:
                    known_loads.refuse(run, job)
                    show("cooling, host without an engine")
                    cool_down(watch, run, seen)
                    idle_without_engine(session, watch, job, run, seen)
                    show("loading")
                    load(session, job, seen, run)
                    show(f"baseline, {human_duration(job.experiment.baseline_s)} or more")
                    idle(watch, job.experiment.baseline_s, run, seen)
                    warm_up_and_run(session, watch, job, seen, show)
                    seen.own_processes = own_processes() if working and not attached else None
            except EngineReportedError as failure:
                if failure.reason != OUT_OF_MEMORY:
                    raise
                seen.out_of_memory = str(failure)  # a legitimate outcome of its configuration
            finally:
                seen.series = sources.with_known_periods(watch.sampler.series(), abilities)


def cool_down(watch: Watch, run: Run, seen: Observation) -> None:
    """Wait for GPUs that are warmer than they were when the run first let them idle."""
    reference = run.find("temperatures", dict[str, float])
    if not reference or not watch.devices:
        return
    before = time.monotonic()
    cooled = watch.wait_for(
        partial(gates.cool, reference_celsius=reference), span_s=3.0, cap_s=gates.COOL_DOWN_CAP_S
    )
    seen.thermal = replace(seen.thermal, cooled=cooled)
    seen.add_phase("cool_down", before, time.monotonic())


def idle_without_engine(
    session: Session, watch: Watch, job: Job, run: Run, seen: Observation
) -> None:
    """Take the host's idle power once for each cycle; not where an engine stays loaded."""
    resident, rest_s = session.peer["engine"], job.experiment.baseline_s
    stays = resident is not None and resident["key"] == job.engine_key
    stays = stays or job.experiment.engine.attached
    if watch.devices and rest_s and not stays and not host_idle.known(run, job.cycle):
        if resident is not None:
            session.request(Unload())
        watch.settle(rest_s)
        span = host_idle.take(
            run,
            job.cycle,
            devices=watch.devices,
            method=watch.method,
            duration_s=rest_s,
            series=watch.series,
        )
        seen.add_phase("host_idle", *span)
    seen.host_idle = host_idle.known(run, job.cycle)
    seen.first_host_idle = host_idle.first_known(run)


def load(session: Session, job: Job, seen: Observation, run: Run) -> None:
    """Have the engine loaded, or reused where this job may share its process.

    Of the sets of a run only some engines load at the same time; waiting is no part of loading.
    """
    engine = replace(job.experiment.engine, model_path=str(seen.model.path))
    wanted = Load(job.experiment.load_deadline_s, job.engine_key, engine)
    resident = seen.peer["engine"]
    reused = resident is not None and resident["key"] == job.engine_key
    with nullcontext() if reused else loading(run), known_loads.noted(run, job):
        before = time.monotonic()
        seen.loaded = session.request(wanted)
        seen.add_phase("load", before, time.monotonic())


def idle(watch: Watch, duration_s: float, run: Run, seen: Observation) -> None:
    """Leave the loaded engine alone: the baseline that is subtracted lies here."""
    if watch.devices and duration_s:
        before = time.monotonic()
        seen.thermal = replace(seen.thermal, settled=watch.settle(duration_s))
        seen.add_phase("settle", before, time.monotonic())
    before = time.monotonic()
    time.sleep(duration_s)
    seen.add_phase("idle", before, time.monotonic())
    if watch.devices and run.find("temperatures", dict[str, float]) is None:
        run.write("temperatures", gates.temperatures(watch.series(before - 1.0)))


def warm_up_and_run(
    session: Session, watch: Watch, job: Job, seen: Observation, show: Callable[[str], None]
) -> None:
    """Warm-up, window and tail: one request, so that nothing comes between them."""
    experiment = job.experiment
    rules = experiment.workload.warmup
    on_cpu = experiment.device == "cpu"
    window = f"window, {human_duration(experiment.workload.minimum_duration_s)} or more"
    warm_up = f"warm-up, at most {human_duration(rules.cap_s)}"
    show(f"{warm_up}, then {window}" if on_cpu else warm_up)
    power = power_watch(session, watch, experiment.workload)
    workload = replace(
        experiment.workload,
        prompts=seen.prompts.token_ids,
        arrivals=seen.arrivals,
        warmup=replace(rules, await_host=power is not None),
    )

    def on_event(event: Event) -> None:
        if power:
            power.on_event(event)
        if event["event"] == "phase" and event["name"] == "window":
            if not experiment.sampled:
                watch.sampler.stop()  # a control: all that came before was as it always is
            if not on_cpu:  # where the terminal's work is none of the devices'
                show(window)

    seen.measured = session.request(
        Measure(experiment.measure_deadline_s, workload), on_event=on_event
    )
    seen.power = power.verdict if power else None
    for name in ("warmup", "window", "tail"):
        phase = seen.measured[name]
        seen.add_phase(name, phase["start"], phase["end"])


def power_watch(session: Session, watch: Watch, workload: Workload) -> PowerWatch | None:
    """The judge of power in the warm-up; None without a sensor or with too short a cap."""
    span = span_s(workload.warmup.cap_s)
    seen_now = watch.series(time.monotonic() - 2.0)
    sensed = [seen_now.samples(device, QUANTITY[watch.method]) for device in watch.devices]
    if span is None or not sensed or not all(sensed):
        return None
    return PowerWatch(
        watch.devices,
        method=watch.method,
        span_s=span,
        window_s=workload.minimum_duration_s,
        rules=workload.warmup,
        series=watch.series,
        report=lambda steady: session.send(Steady(steady)),
    )
