"""The backends of a run: started when first needed, found again, ended with the run.

Whoever starts a backend, the run owns it. Only what carries a run's id is ever touched, and a
dead run's backends are reaped only when its owner is proven dead.
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from llm_energy.backends import health
from llm_energy.backends.process_runtime import ProcessRuntime, start_detached, worker_environment
from llm_energy.backends.runtime import BackendError, BackendRecord, DeclaredBackend, Runtime
from llm_energy.backends.session import Session
from llm_energy.power.gpu_control import restore_all
from llm_energy.runs import lease
from llm_energy.runs.run import RUNS, Run, utc_now
from llm_energy.runs.run_parts import set_runs
from llm_energy.system import locks
from llm_energy.system.files import is_abandoned
from llm_energy.system.processes import ProcessId
from llm_energy.system.vocabulary import ATTACHED, DOCKER, PROCESS
from worker.protocol import Unload


def runtime_named(name: str) -> Runtime:
    """Return the runtime that a campaign's `backends.*.runtime` names.

    Jobs without containers load no Docker client.
    """
    if name == PROCESS:
        return ProcessRuntime()
    if name == DOCKER:
        from llm_energy.backends.docker_runtime import DockerRuntime

        return DockerRuntime()
    if name == ATTACHED:
        from llm_energy.backends.attached_runtime import AttachedRuntime

        return AttachedRuntime()
    raise BackendError("unknown_runtime", f"there is no runtime `{name}`")


def declared_backend(run: Run, name: str) -> DeclaredBackend:
    """Return a backend as the run declared it."""
    return run.read(f"declared/{name}", DeclaredBackend)


def ensure_backend(run: Run, name: str) -> BackendRecord:
    """Return the running backend of this run; start it if it is missing, replace it if it is dead.

    Raises:
        BackendError: it cannot be started, or has failed too often in this run.
    """
    health.refuse_broken(run, name)
    with locks.waiting(run.folder / "backends" / f"{name}.lock"):
        ensure_watchdog(run)
        record = known_backend(run, name)
        if record is not None:
            if runtime_named(record.runtime).alive(record):
                return record
            runtime_named(record.runtime).stop(record)
            run.add_event("backend_replaced", backend=name, reason="it was found dead")
        return _start(run, name)


def heal_backend(run: Run, record: BackendRecord, *, reason: str) -> None:
    """Restart a backend that does not answer; recreate it where that does not help.

    Its failures are counted by the attempts that it fails, not here: an end that both a
    measurement and the watchdog see would count twice.

    Raises:
        BackendError: it cannot be started any more; an event records it too.
    """
    name, runtime = record.name, runtime_named(record.runtime)
    with locks.waiting(run.folder / "backends" / f"{name}.lock"):
        if known_backend(run, name) != record:
            return  # it was replaced meanwhile
        if runtime.alive(record) and runtime.restart(record):
            run.add_event("backend_restarted", backend=name, reason=reason)
            return
        runtime.stop(record)
        try:
            _start(run, name)
        except BackendError as error:
            run.add_event("backend_lost", backend=name, reason=f"{reason}; {error}")
            raise
        run.add_event("backend_recreated", backend=name, reason=reason)


def discard_backend(run: Run, record: BackendRecord) -> None:
    """End a backend that cannot be trusted any more; the next measurement starts another."""
    name = record.name
    with locks.waiting(run.folder / "backends" / f"{name}.lock"):
        if known_backend(run, name) == record:
            runtime_named(record.runtime).stop(record)
            (run.folder / "backends" / f"{name}.json").unlink()
            run.add_event("backend_discarded", backend=name, reason="it stopped answering")


def _start(run: Run, name: str) -> BackendRecord:
    declared = declared_backend(run, name)
    record = runtime_named(declared.runtime).start(declared, run)
    run.write(f"backends/{name}", record)
    return record


def known_backend(run: Run, name: str) -> BackendRecord | None:
    """The backend as the run entered it when it was started; None where it was not."""
    return run.find(f"backends/{name}", BackendRecord)


def known_backends(run: Run) -> list[BackendRecord]:
    """All backends that the run entered, by name."""
    return list(run.all_in("backends", BackendRecord).values())


def connect(record: BackendRecord) -> Session:
    """Open a session with a backend."""
    return Session(runtime_named(record.runtime).connect(record))


@contextlib.contextmanager
def trusted(run: Run, record: BackendRecord) -> Iterator[Session]:
    """A session with a backend, which is ended if it stops answering in it.

    A backend that hangs cannot unload its engine; one that was ended certainly holds none.
    """
    try:
        with connect(record) as session:
            yield session
    except BackendError as error:
        if error.reason in ("backend_silent", "backend_lost"):
            with contextlib.suppress(BackendError):  # the first failure is the one to report
                discard_backend(run, record)
        raise


def unload_others(run: Run, backend: str) -> None:
    """Make `backend` the only one that may hold an engine process, and verify that it is.

    At most one engine is resident: another one would share the device's memory and raise its
    idle power.

    Raises:
        BackendError: `engine_resident`, another backend's engine could not be unloaded.
    """
    for record in known_backends(run):
        if record.name == backend or not runtime_named(record.runtime).alive(record):
            continue
        with trusted(run, record) as session:
            if session.peer["engine"] is None:
                continue
            session.request(Unload())
        with trusted(run, record) as session:
            if session.peer["engine"] is not None:
                raise BackendError(
                    "engine_resident", f"the engine of `{record.name}` did not unload"
                )


def release_attached(run: Run) -> None:
    """Unload the engines of a run from containers that stay, before another run may use them.

    Where a supervisor does not answer, it ends its engine itself once it has no connection.
    """
    for record in known_backends(run):
        if record.attached:
            with contextlib.suppress(BackendError), connect(record) as session:
                session.request(Unload())


def stop_backends(run: Run) -> None:
    """End every backend of the run; one that resists does not keep the others alive.

    A Docker engine that does not answer is waited for once: its containers end with their lease,
    and the next start of a campaign removes what they leave.
    """
    silent, records, declared = set(), list[BackendRecord](), {PROCESS}
    # A process that a damaged record names is found by its mark; a container ends with its lease.
    with contextlib.suppress(ValueError):
        records = known_backends(run)
    with contextlib.suppress(ValueError):
        declared = {each.runtime for each in run.all_in("declared", DeclaredBackend).values()}
    for record in records:
        if record.runtime not in silent:
            try:
                runtime_named(record.runtime).stop(record)
            except (BackendError, OSError) as error:
                if isinstance(error, BackendError) and error.reason == health.SILENT:
                    silent.add(record.runtime)
    for runtime in declared - silent:
        with contextlib.suppress(BackendError, OSError):
            runtime_named(runtime).sweep(run)


def ensure_watchdog(run: Run) -> None:
    """Start the run's watchdog unless it lives."""
    known = run.find("watchdog", ProcessId)
    if known is not None and known.alive():
        return
    lease.renew(run.lease)
    command = [sys.executable, "-m", "llm_energy.backends.watchdog", str(run.folder)]
    log = run.folder / "watchdog.log"
    environment = worker_environment(secrets=os.environ)  # it may start backends, which need some
    process = start_detached(command, folder=run.folder, log=log, environment=environment)
    identity = ProcessId.of(process.pid)
    if identity is None:
        raise BackendError("watchdog_failed", f"the watchdog did not start; log: {log}")
    run.write("watchdog", identity)


def end_run(run: Run, *, seen: bool = True) -> None:
    """Stop everything that the run started and forget it; may be called any number of times.

    Args:
        seen: False where it ended at an unknown time before: then its record has no end.
    """
    if not (run.folder / "run.json").exists():
        return
    # A damaged record, of a full disk or a crash of the host, keeps nothing alive.
    with contextlib.suppress(ValueError):
        watchdog = run.find("watchdog", ProcessId)
        if watchdog is not None and watchdog != ProcessId.current():
            watchdog.end(patience_s=2.0)
    with contextlib.suppress(ValueError):
        parts = set_runs(run)
        with ThreadPoolExecutor(max_workers=max(1, len(parts))) as pool:
            list(pool.map(partial(end_run, seen=seen), parts))
    if not run.spreads:
        stop_backends(run)
    with contextlib.suppress(ValueError):
        record = run.record
        if record.device_set is None:  # the sets of a run end with it
            for line in restore_all(owner=record.owner):
                print(line, file=sys.stderr)
    # A full disk must not keep anything alive, and another process may end it too.
    with contextlib.suppress(OSError, ValueError):
        run.publish(ended=utc_now() if seen else None)
    run.remove()


def reap_dead_runs() -> list[str]:
    """End what runs left behind whose owner is proven dead; returns their ids."""
    reaped = []
    for run in Run.all():
        try:
            # Another host's run is not ours to judge.
            dead = run.on_this_host and not run.record.owner.alive()
        except ValueError:
            continue  # not a record of ours, or gone meanwhile: touch nothing
        if dead:
            end_run(run, seen=False)
            reaped.append(run.run_id)
    for folder in RUNS.glob("*/"):
        if not (folder / "run.json").exists() and is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)
    return reaped
