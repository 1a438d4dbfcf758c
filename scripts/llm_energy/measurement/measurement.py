"""One measurement from start to end: the story, in the order in which it happens.

The host drives and meters; the worker inside the backend loads, warms up and generates. Both
stamp times on CLOCK_MONOTONIC, which a host and its containers share. What was seen is kept in an
`Observation`; `assemble.py` makes the result of it.
"""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from llm_energy.backends import running
from llm_energy.backends.runtimes import runtime_named
from llm_energy.backends.session import EngineReportedError, Event, Session
from llm_energy.inputs.models import verify_model
from llm_energy.measurement import host_idle
from llm_energy.measurement.device_exclusivity import lock_names, refuse_leftovers, working_devices
from llm_energy.measurement.job import Job, Observation
from llm_energy.measurement.power_watch import PowerWatch, span_s
from llm_energy.power import gates, sources
from llm_energy.power.meter import Device
from llm_energy.power.sampler import Sampler
from llm_energy.power.sensor import QUANTITY, Method
from llm_energy.power.series import Series
from llm_energy.power.sources import open_meters
from llm_energy.runs.run import Run, utc_now
from llm_energy.system import locks
from llm_energy.system.cache import model_marker, prompts_marker

STEADY_VARIATION = 0.10
"""Coefficient of variation of wave throughput above which a warm-up is not steady. Provisional."""

STEADY_BOUND = 0.01
"""Relative trend over the tested waves that counts as none (equivalence bound)."""

STEADY_BOUND_LIMIT = 0.03
"""The widest bound that noise may force before the warm-up counts as not steady."""

MINIMUM_WAVES = 3
"""Least waves in a warm-up and in a window."""

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
        """Wait until all devices are at rest; twice as long as they are then watched at most."""
        quiet_s = min(gates.QUIET_S, rest_s)
        at_rest = partial(
            gates.quiet,
            devices=self.devices,
            method=self.method,
            start_s=time.monotonic(),
            span_s=quiet_s,
        )
        return self.wait_for(at_rest, span_s=quiet_s + 1.0, cap_s=2.0 * rest_s)


def prepare(job: Job) -> Observation:
    """What is known of a measurement before anything is started.

    Raises:
        BackendError: the environment is not ready.
        ModelError: the model's files are not those that were declared.
    """
    return Observation(
        started=utc_now(),
        environment=running.read_environment(job.facts["environment_id"]),
        model=verify_model(model_marker(job.facts["model_id"])),
        prompts=read_prompts(job.facts["prompts_id"]),
    )


def measure(job: Job, run: Run, seen: Observation) -> None:
    """Measure one cell; `seen` holds what was observed, also where it ends in an error.

    Raises:
        BackendError: the measurement failed; the reason code says whether it may be tried again.
    """
    backend, device = job.settings["backend"], job.timing["device"]
    gpus = running.declared_backend(run, backend).container["gpus"]
    with ExitStack() as stack:
        meters = open_meters(cpu_model=run.facts["host_facts"]["cpu_model"])
        for meter in meters:
            stack.callback(meter.close)
        working = working_devices(meters, device=device, gpus=gpus)
        before = time.monotonic()
        stack.enter_context(locks.devices(lock_names(working, device=device)))
        stack.enter_context(locks.waiting(run.measuring_lock))
        seen.started, seen.waited_s = utc_now(), time.monotonic() - before
        record = running.ensure_backend(run, backend)
        running.unload_others(run, backend)
        devices = tuple(d for _, d in working)
        seen.method, abilities = sources.campaign_source(run.results, meters, devices)
        watch = Watch(Sampler(meters, rate_hz=job.timing["sampling_hz"]), devices, seen.method)
        own_processes = partial(runtime_named(record.runtime).processes, record)
        with running.trusted(run, record) as session:
            seen.peer = session.peer
            if session.peer["engine"] is None and device == "gpu":
                refuse_leftovers(working, own_processes() if working else ())
            try:
                with watch.sampler:
                    cool_down(watch, run, seen)
                    idle_without_engine(session, watch, job, run, seen)
                    load(session, job, str(seen.model.path), seen)
                    idle(watch, job.timing["baseline_s"], run, seen)
                    warm_up_and_run(session, watch, job, seen)
                    seen.own_processes = own_processes() if working else None
            except EngineReportedError as failure:
                if failure.reason != "out_of_memory":
                    raise
                seen.out_of_memory = str(failure)  # a legitimate outcome of its configuration
            finally:
                seen.series = sources.with_known_periods(watch.sampler.series(), abilities)


def read_prompts(prompts_id: str) -> Mapping[str, Any]:
    """The token ids of a prompt set, fixed before measuring."""
    prompts: dict[str, Any] = json.loads(prompts_marker(prompts_id).read_text())
    return prompts


def cool_down(watch: Watch, run: Run, seen: Observation) -> None:
    """Wait for GPUs that are warmer than they were when the run first let them idle."""
    reference = run.read("temperatures")
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
    resident, rest_s = session.peer["engine"], job.timing["baseline_s"]
    stays = resident is not None and resident["key"] == job.engine_key
    if watch.devices and rest_s and not stays and not host_idle.known(run, job.cycle):
        if resident is not None:
            session.request("unload", deadline_s=30.0)
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
    seen.host_idle_watts = host_idle.known(run, job.cycle)
    seen.first_host_idle_watts = host_idle.first_known(run)


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


def idle(watch: Watch, duration_s: float, run: Run, seen: Observation) -> None:
    """Leave the loaded engine alone: the baseline that is subtracted lies here."""
    if watch.devices and duration_s:
        before = time.monotonic()
        seen.thermal = replace(seen.thermal, settled=watch.settle(duration_s))
        seen.add_phase("settle", before, time.monotonic())
    before = time.monotonic()
    time.sleep(duration_s)
    seen.add_phase("idle", before, time.monotonic())
    if watch.devices and run.read("temperatures") is None:
        run.write("temperatures", gates.temperatures(watch.series(before - 1.0)))


def warm_up_and_run(session: Session, watch: Watch, job: Job, seen: Observation) -> None:
    """Warm-up, window and tail: one request, so that nothing comes between them."""
    settings, timing = job.settings, job.timing
    power = power_watch(session, watch, timing["warmup_cap_s"])

    def on_event(event: Event) -> None:
        if power:
            power.on_event(event)
        if not job.sampled and event["event"] == "phase" and event["name"] == "window":
            watch.sampler.stop()  # a control: all that came before was as it always is

    seen.measured = session.request(
        "measure",
        deadline_s=timing["measure_deadline_s"],
        on_event=on_event,
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
                "minimum_s": timing["tail_s"],
                "cv_threshold": STEADY_VARIATION,
                "bound": STEADY_BOUND,
                "maximum_bound": STEADY_BOUND_LIMIT,
                "await_host": power is not None,
            },
        },
    )
    seen.power = power.verdict if power else None
    for name in ("warmup", "window", "tail"):
        phase = seen.measured[name]
        seen.add_phase(name, phase["start"], phase["end"])


def power_watch(session: Session, watch: Watch, cap_s: float) -> PowerWatch | None:
    """The judge of power in the warm-up; None without a sensor or with too short a cap."""
    span = span_s(cap_s)
    seen_now = watch.series(time.monotonic() - 2.0)
    sensed = [seen_now.samples(device, QUANTITY[watch.method]) for device in watch.devices]
    if span is None or not sensed or not all(sensed):
        return None
    return PowerWatch(
        watch.devices,
        method=watch.method,
        span_s=span,
        cv_threshold=STEADY_VARIATION,
        bound=STEADY_BOUND,
        maximum_bound=STEADY_BOUND_LIMIT,
        series=watch.series,
        tell=lambda value: session.tell("steady", value=value),
    )
