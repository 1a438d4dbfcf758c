"""The work of the workflow's hooks `onstart`, `onsuccess` and `onerror`."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llm_energy.campaign.campaign import load_campaign
from llm_energy.campaign.experiment import Experiment
from llm_energy.inputs.recipes import Recipes
from llm_energy.preflight.asking import reason
from llm_energy.preflight.container_findings import container_obstacles
from llm_energy.preflight.gpu_control_findings import sets_gpus
from llm_energy.preflight.gpus import Answer, ask_gpus
from llm_energy.preflight.host_findings import forbidden_cpu_energy
from llm_energy.preflight.obstacles import gpu_obstacles, obstacles, secret_obstacles
from llm_energy.results import older_layout
from llm_energy.runs.campaign_status import write_status
from llm_energy.runs.concurrency import Concurrency
from llm_energy.runs.run_records import DeviceSet
from llm_energy.system.cache import CACHE
from llm_energy.system.scripting import UserError, disk_refusal
from llm_energy.workflow import conclusion
from llm_energy.workflow.announcement import (
    allocations_line,
    announcement,
    lone_neighbours,
    sets_line,
)
from llm_energy.workflow.lanes import most_at_once, planned_concurrency, spread_refusal
from llm_energy.workflow.lifecycle import Lifecycle, LifecycleError
from llm_energy.workflow.opening import LOCK_FILE, Opened
from llm_energy.workflow.parallel_sessions import sets_of_host
from llm_energy.workflow.requested import DECIDING, Requested
from llm_energy.workflow.snakemake_internals import SnakemakeInternals
from llm_energy.workflow.status import standings, write_manifest
from llm_energy.workflow.status_numbers import campaign_status

NO_SETS = (
    "`parallel` makes sets of the GPUs of this host, which is not possible here: see "
    "`snakemake preflight`, or leave `parallel` out"
)


class Hooks:
    """The work before the first and after the last job of an invocation."""

    def __init__(
        self,
        opened: Opened,
        requested: Requested,
        snakemake: SnakemakeInternals,
        *,
        config: Mapping[str, Any],
        inputs: Recipes,
        calibrated: Experiment,
        at_once: int,
    ) -> None:
        """Prepare the hooks of an invocation.

        Args:
            calibrated: the experiment whose load `calibrate_nvidia_smi` reads.
            at_once: measurements that may run at the same time.
        """
        self._opened = opened
        self._requested = requested
        self._snakemake = snakemake
        self._config = config
        self._inputs = inputs
        self._calibrated = calibrated
        self._at_once = at_once
        self._most_at_once = most_at_once(opened.campaign, snakemake)
        self._results = Path(opened.results)
        scripts = opened.root / "scripts"
        self._sets: tuple[DeviceSet, ...] = ()
        """Sets of GPUs of this host, if it measures on several at once."""
        self._reports = False
        """This invocation makes the report, even where it measures nothing."""
        self._lifecycle = Lifecycle(opened.campaign, results=self._results, scripts=scripts)

    def start(self) -> None:
        """Open the run, if this invocation measures or calibrates."""
        if self._snakemake.touches:
            return
        self._snakemake.keep_as_left()
        self._link_older_results()
        campaign, spreads = self._opened.campaign, self._snakemake.spreads
        jobs = self._snakemake.jobs_to_run()
        rules = {job.rule for job in jobs}
        self._reports = "report" in rules
        needed = self._requested.to_measure(jobs)
        further = self._requested.may_follow(jobs, needed)
        calibrated = [self._calibrated] if "calibrate_nvidia_smi" in rules else []
        if calibrated and not campaign.measurement.on_gpu:
            sys.exit(
                f"calibrate_nvidia_smi: campaign `{campaign.name}` measures on the CPU, nvidia-smi "
                "reads GPUs; name a campaign with `measurement.device: gpu`"
            )
        if spreads and not rules.isdisjoint(DECIDING):
            # Snakemake adds to groups that are submitted already what a checkpoint requests.
            what, instead = "decides its cycles", "give `cycles` a number"
            if campaign.searches:
                what, instead = "searches its highest good rate", "name rates"
            sys.exit(
                f"campaign `{campaign.name}` {what} as it goes, which cannot be spread over a "
                f"cluster: {instead}, or use one allocation (docs/slurm.md)"
            )
        if spreads and (refusal := spread_refusal(campaign, self._snakemake)):
            sys.exit(f"campaign `{campaign.name}`: {refusal}")
        gpus: Answer = []
        if campaign.measurement.on_gpu and not spreads and (needed or further or calibrated):
            gpus = ask_gpus()
            self._sets = sets_of_host(campaign, gpus)
        concurrency = self._concurrency(self._at_once)
        for line in announcement(
            jobs, needed, campaign=campaign, results=self._results, concurrency=concurrency
        ):
            print(line, file=sys.stderr)
        if needed or further or calibrated:
            lines = obstacles(self._inputs, cache=CACHE)
            used = dict.fromkeys(
                e.settings.backend
                for e in (*(p.experiment for p in (*needed, *further)), *calibrated)
            )
            if spreads and any(campaign.backends[name].attached for name in used):
                sys.exit(
                    f"campaign `{campaign.name}` measures in a container of this host, which "
                    "cannot be spread over a cluster: use one allocation (docs/slurm.md)"
                )
            if not spreads:
                lines += [*gpu_obstacles(campaign, gpus), *container_obstacles(campaign, used)]
                lines += secret_obstacles(campaign, used, os.environ)
            if lines:
                sys.exit("\n".join(lines))
            if campaign.parallel and not (self._sets or spreads):
                sys.exit(f"campaign `{campaign.name}`: {NO_SETS}")
            if spreads and campaign.parallel:
                print(allocations_line(campaign.parallel, self._at_once), file=sys.stderr)
            if self._sets:
                print(sets_line(self._sets, at_once=self._at_once), file=sys.stderr)
                if line := lone_neighbours(campaign, len(self._sets), at_once=self._at_once):
                    print(line, file=sys.stderr)
            if not (campaign.measurement.on_gpu or spreads) and (remedy := forbidden_cpu_energy()):
                print(f"No energy will be measured. {remedy}", file=sys.stderr)
        boards = {}
        if (needed or further or calibrated) and sets_gpus(campaign):
            if spreads:
                sys.exit(
                    f"campaign `{campaign.name}` sets GPUs, which cannot be spread over a cluster: "
                    "use one allocation (docs/slurm.md)"
                )
            if isinstance(gpus, Exception):
                sys.exit(
                    f"campaign `{campaign.name}` sets GPUs, which cannot be read: {reason(gpus)}"
                )
            boards = {gpu.uuid: gpu.settable for gpu in gpus if not gpu.lost}
        try:
            self._lifecycle.start(
                needed,
                calibrated=calibrated,
                further=further,
                remeasure=self._config.get("remeasure", False),
                new_device=self._config.get("new_device", False),
                spreads=spreads,
                gpus=gpus,
                sets=self._sets,
                at_once=self._at_once,
                boards=boards,
            )
        except LifecycleError as error:
            sys.exit(str(error))
        except OSError as error:
            if (refusal := disk_refusal(error)) is None:
                raise
            sys.exit(refusal)
        if self._lifecycle.measures:
            self._write_manifest()  # which result is of which experiment

    def _link_older_results(self) -> None:
        try:
            older_layout.link(self._results, self._opened.elsewhere)
        except OSError as error:
            print(f"They cannot be linked: {disk_refusal(error) or error}", file=sys.stderr)

    def _write_manifest(self) -> None:
        campaign, results = self._opened.campaign, self._results
        try:
            rows = standings(campaign, results)
            write_manifest(results, rows)
            write_status(results, campaign_status(campaign, results, rows))
        except OSError as error:
            print(f"Not written: {disk_refusal(error) or error}", file=sys.stderr)

    def finish(self, *, complete: bool) -> None:
        """Stop what this run started, and print how it ended."""
        measured = self._lifecycle.measures
        self._lifecycle.stop()
        if self._snakemake.touches:
            return
        for line in self._conclusion(complete, measured):
            print(line, file=sys.stderr)
        if measured:
            self._write_manifest()
            self._export()

    def _export(self) -> None:
        """Send what was measured to the campaign's server; a failure costs nothing but that."""
        url = self._config.get("export_to")
        if url is None or self._opened.is_pilot:
            return
        from llm_energy.export.sending import send_campaign  # pyarrow, clients of servers

        try:
            line = str(send_campaign(self._results, url))
        except (UserError, OSError) as error:
            line = f"Not exported: {error}. The target `export` sends what is missing."
        print(line, file=sys.stderr)

    def _conclusion(self, complete: bool, measured: bool) -> list[str]:
        opened = self._opened
        if opened.is_pilot:
            return [] if complete else self._pilot_findings()
        if complete:
            return conclusion.success(self._results) if measured or self._reports else []
        if not self._snakemake.has_jobs_of(["measure"]):
            return []  # a target without measurements failed, with a message of its own
        self._snakemake.show_pandas()  # the partial report needs it
        anchors = self._requested.anchors.values()
        return conclusion.failure(opened.campaign, self._results, anchors=anchors)

    def _pilot_findings(self) -> list[str]:
        """Describe what a pilot found that did not come to its end."""
        from llm_energy.workflow.pilot import findings  # SciPy

        opened = self._opened
        lock = opened.root / LOCK_FILE
        campaign = load_campaign(self._config, files=opened.files, root=opened.root, lock=lock)
        concurrency = self._concurrency(self._most_at_once)
        return findings(campaign, opened.campaign, self._results, concurrency=concurrency)

    def _concurrency(self, lanes: int) -> Concurrency:
        spreads = self._snakemake.spreads
        allocations = self._snakemake.allocations if spreads else None
        return planned_concurrency(
            self._opened.campaign, lanes, allocations=allocations, sets=self._sets
        )
