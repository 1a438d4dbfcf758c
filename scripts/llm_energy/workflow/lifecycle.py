"""The life of a run around its jobs: opened by onstart, ended by onsuccess, onerror or atexit.

`start` does, in this order: nothing if no measurement is needed; register the clean-up; lock the
campaign; refuse to overwrite; reap what dead runs left; hold the containers that run already, and
the GPUs, after the runs that have them; enter the run; start the fork server, the watchdog and
those needed backends whose environment is ready (the first job that needs another one starts it).
"""

import atexit
import contextlib
import os
import signal
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from llm_energy.backends.running import (
    end_run,
    ensure_watchdog,
    reap_dead_runs,
    release_attached,
    runtime_named,
)
from llm_energy.backends.runtime import BackendError
from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.experiment import Experiment, PlannedMeasurement
from llm_energy.measurement.fork_server import ForkServer
from llm_energy.power.gpu_control import restore_all
from llm_energy.power.gpu_targets import GpuRange
from llm_energy.preflight.container_findings import hold_containers
from llm_energy.preflight.gpus import Answer
from llm_energy.results.superseded import set_aside
from llm_energy.runs.results_lock import LockedError, ResultsLock
from llm_energy.runs.run import PYTHON_VARIABLE, RUN_VARIABLE, Run
from llm_energy.runs.run_records import DeviceSet, Spread
from llm_energy.runs.waiting_start import note_of, noted
from llm_energy.system.cache import CACHE, environment_marker
from llm_energy.system.files import TEMPORARY, remove_abandoned
from llm_energy.workflow.allocation import AllocationError, cancel_orphans
from llm_energy.workflow.begun_blocks import begun_blocks, moved_blocks
from llm_energy.workflow.device_guard import ForeignDeviceError, refuse_foreign_device
from llm_energy.workflow.invalid import invalid_results
from llm_energy.workflow.parallel_sessions import open_sessions, spread_over, start_backends
from llm_energy.workflow.run_entry import decision_of, enter_run
from llm_energy.workflow.run_gpus import foreign_processes, gpus_of_run, hold_gpus


class LifecycleError(Exception):
    """A run that must not start; the message is one line with its remedy."""


class Lifecycle:
    """The state of one Snakemake invocation between its onstart and its end."""

    def __init__(self, campaign: Campaign, *, results: Path, scripts: Path) -> None:
        self.campaign = campaign
        self.results = results
        self.scripts = scripts
        self.run: Run | None = None
        self.measures = False
        """This invocation measures, or may do so."""
        self._fork_server: ForkServer | None = None
        self._lock: ResultsLock | None = None
        self._held: list[int] = []
        """Locks of GPUs, and of containers that ran already."""

    def start(
        self,
        needed: Sequence[PlannedMeasurement],
        *,
        calibrated: Sequence[Experiment] = (),
        further: Sequence[PlannedMeasurement] = (),
        remeasure: bool | str,
        new_device: bool = False,
        spreads: bool = False,
        gpus: Answer = (),
        sets: Sequence[DeviceSet] = (),
        at_once: int = 1,
        boards: Mapping[str, GpuRange] = MappingProxyType({}),
    ) -> None:
        """Open a run for the measurements `needed`; nothing happens where there is nothing to do.

        Args:
            calibrated: experiments whose engine other jobs of this run load, for no result.
            further: measurements that decisions of this run may ask for.
            remeasure: True lets results be measured again that are there, `invalid` those that
                are invalid; the old ones are kept aside.
            new_device: True lets a campaign grow on another device model than it began on.
            spreads: True where jobs run on other hosts: nothing is started here, and each
                allocation opens a run of its own.
            gpus: what the driver of this host shows.
            sets: sets of this host's GPUs that are measured on at once, each in a run of its own.
            at_once: measurements that run at the same time, in each allocation where it spreads.
            boards: GPU -> what it can be set to, where experiments set it.

        Raises:
            LifecycleError: results would be overwritten, the campaign was measured on another
                device or is running already, or a backend does not start.
        """
        ordered = sorted((*needed, *further), key=lambda planned: planned.position)
        experiments = {
            e.spec_hash: e for e in (*(planned.experiment for planned in ordered), *calibrated)
        }.values()
        if not experiments:
            return
        backends = {e.settings.backend for e in experiments}
        own_gpus = set[str]() if spreads else gpus_of_run(self.campaign, backends, gpus)
        if not (new_device or spreads):
            self._refuse_another_device(gpus, own_gpus)
        atexit.register(self.stop)
        self.results.mkdir(parents=True, exist_ok=True)
        if not os.access(self.results, os.W_OK):  # for root too, where the disk is read-only
            message = "cannot be written; make it writable, or start where it is"
            raise LifecycleError(f"{self.results} {message}")
        self._take_lock()  # before anything else: a living run adds results while we look
        remove_abandoned([*self.results.rglob(TEMPORARY), *CACHE.glob(f"*/*/{TEMPORARY}")])
        existing = [planned for planned in (*needed, *further) if self._path(planned).exists()]
        if not self._may_remeasure(existing, remeasure, elsewhere=spreads):
            raise LifecycleError(
                f"{len(existing)} of the requested measurements have a result already "
                f"(the first is {self._path(existing[0])}); to measure them again and keep the "
                "old results under superseded/, add: --config remeasure=true"
            )
        # A closed terminal must end the run as TERM does: the current measurement is kept.
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        self._reap(set() if spreads else {self._runtime_of(e) for e in experiments})
        if not spreads:
            self._hold(backends, own_gpus)
        self._set_aside(existing)
        self.run = enter_run(
            self.campaign,
            ordered,
            experiments,
            results=self.results,
            scripts=self.scripts,
            undecided=frozenset(further),
            cycles_of_allocation=at_once if spreads else None,
        )
        for uuid, board in boards.items():
            self.run.write(f"gpu_ranges/{uuid}", board)
        self.measures = bool(ordered)
        os.environ[RUN_VARIABLE] = str(self.run.folder)
        if spreads:
            self._describe_to_allocations(new_device=new_device, at_once=at_once)
            return
        if self.measures:
            self._fork_server = ForkServer(self.run)
        try:
            ensure_watchdog(self.run)
            parts = [self.run]
            spread = self._spread_over(sets, ordered, at_once=at_once)
            if spread:
                parts = open_sessions(self.run, spread, scripts=self.scripts)
            start_backends(parts, _ready_backends(experiments))
        except BackendError as error:
            raise LifecycleError(f"{error}\n{error.log}".strip()) from error

    def stop(self) -> None:
        """End the run and all that it started; idempotent, also under a second Ctrl-C."""
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        run, self.run = self.run, None
        os.environ.pop(RUN_VARIABLE, None)
        if self._fork_server is not None:
            self._fork_server.end()
            self._fork_server = None
        if run is not None:
            release_attached(run)
            end_run(run)
        while self._held:
            os.close(self._held.pop())
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        signal.signal(signal.SIGINT, before)

    def _runtime_of(self, experiment: Experiment) -> str:
        return self.campaign.backends[experiment.settings.backend].runtime

    def _path(self, planned: PlannedMeasurement) -> Path:
        return self.results / planned.result_path

    def _refuse_another_device(self, gpus: Answer, own_gpus: Collection[str]) -> None:
        device, paths = self.campaign.measurement.device, map(self._path, self.campaign.schedule)
        try:
            refuse_foreign_device(self.campaign.name, device, paths, gpus=gpus, only=own_gpus)
        except ForeignDeviceError as error:
            raise LifecycleError(str(error)) from error

    def _reap(self, runtimes: Collection[str]) -> None:
        """End what dead runs left, here and in allocations, and refuse what cannot be judged."""
        for run_id in reap_dead_runs():
            print(f"Cleaned up after the run {run_id}, which had died.", file=sys.stderr)
        for line in restore_all(owner=None):  # of any campaign of any user
            print(line, file=sys.stderr)
        try:
            for job in cancel_orphans():
                print(f"Cancelled job {job} of a run which had died.", file=sys.stderr)
            for runtime in runtimes:
                runtime_named(runtime).reap()
        except (AllocationError, BackendError) as error:
            raise LifecycleError(str(error)) from error
        if other := self._run_elsewhere():
            host = other.record.host_facts.host
            raise LifecycleError(
                f"campaign `{self.campaign.name}` is being measured from {host}; "
                f"end it there, or if that host is gone: rm -r {other.folder}"
            )

    def _run_elsewhere(self) -> Run | None:
        """Another run that adds to the same results; of this host, where the lock is held and the
        dead are reaped, there is none."""
        for run in Run.all():
            # Not a record of ours, or gone meanwhile.
            with contextlib.suppress(ValueError, OSError):
                if run.results == self.results.absolute():
                    return run
        return None

    def _spread_over(
        self, sets: Sequence[DeviceSet], ordered: Iterable[PlannedMeasurement], *, at_once: int
    ) -> Spread | None:
        """Return how this run is spread over sets of GPUs, and print which blocks change theirs."""
        if not self.campaign.measurement.on_gpu:
            return None
        cycles = {planned.cycle for planned in ordered}
        begun = begun_blocks(self.campaign, self.results, cycles=cycles)
        spread = spread_over(sets, self.campaign, begun, at_once=at_once) if sets else None
        for line in moved_blocks(begun, spread):
            print(line, file=sys.stderr)
        return spread

    def _describe_to_allocations(self, *, new_device: bool, at_once: int) -> None:
        """Write down what the runs of allocations must know of this one."""
        assert self.run is not None
        self.run.write("schedule", [planned.result_path for planned in self.campaign.schedule])
        parallel = self.campaign.parallel
        spread = Spread(
            self.campaign.measurement.device,
            new_device,
            at_once=at_once,
            loads_at_once=parallel.loads_at_once if parallel else 1,
            gpus_of_set=parallel.devices_per_measurement if parallel else None,
        )
        self.run.write("spread", spread)
        os.environ[PYTHON_VARIABLE] = sys.executable

    def _take_lock(self) -> None:
        try:
            self._lock = ResultsLock(self.results)
        except LockedError as error:
            raise LifecycleError(f"campaign `{self.campaign.name}` {error}") from error

    def _hold(self, backends: Collection[str], gpus: Collection[str]) -> None:
        """Hold what no other run may have meanwhile; another one's GPUs are waited for."""
        try:
            self._held += hold_containers(self.campaign, backends)
            with noted(note_of(self.results)) as note:
                self._held += hold_gpus(gpus, note=note)
            # The engine in a container or a server that runs already is no foreign process.
            if not any(self.campaign.backends[name].runs_already for name in backends):
                for line in foreign_processes(gpus):
                    print(line, file=sys.stderr)
        except (BackendError, OSError) as error:
            raise LifecycleError(str(error)) from error

    def _may_remeasure(
        self, existing: Sequence[PlannedMeasurement], remeasure: bool | str, *, elsewhere: bool
    ) -> bool:
        paths = [planned.result_path for planned in existing]
        if remeasure != "invalid" or not paths:
            return remeasure is True or not paths
        on_gpu = self.campaign.measurement.on_gpu
        return (
            invalid_results(self.results, paths, on_gpu=on_gpu, elsewhere=elsewhere).mendable
            == paths
        )

    def _set_aside(self, replaced: Iterable[PlannedMeasurement]) -> None:
        decisions = {p.result_path: decision_of(self.campaign, p) for p in replaced}
        set_aside(self.results, {path: [d] if d else [] for path, d in decisions.items()})


def _ready_backends(experiments: Iterable[Experiment]) -> list[str]:
    """Return the backends of experiments whose environment is ready."""
    ready = {
        experiment.settings.backend
        for experiment in experiments
        if environment_marker(experiment.environment.id).exists()
    }
    return sorted(ready)
