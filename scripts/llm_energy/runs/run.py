"""A run: one Snakemake invocation that measures, and the record of all that it owns.

Whoever starts a backend during a run enters it in the run's folder `.cache/runs/{run_id}/`, so
that whoever cleans up (the run itself, its watchdog, a later run) finds everything there is:

    run.json            owner, campaign, digest of the measuring code, session
    plan.json           what it may measure, in planned order; of a cluster in plan/*.json, by
                        allocation, with every result of the campaign in schedule.json
    spread.json         where its blocks are measured; only where that is in parts of it, which are
                        runs of their own: allocations of a cluster, or sets of devices
    given_up/*.json     sets of devices that are measured on no more
    experiments/*.json  what each needed experiment is, as resolved when the run started
    declared/*.json     how each backend is started, as the campaign declares it
    backends/*.json     each backend that was started: its process or container
    host_idle/*.json    power of the devices without an engine, in each cycle
    measuring.json      the measurement that is going on
    temperatures.json   °C of the devices when the run first let a loaded engine idle
    health/*.json       failures in a row of each backend's infrastructure
    loads/*.json        the first load of each engine: what failed for what it is is not repeated
    lease               CLOCK_MONOTONIC seconds until which its backends may live
    watchdog.json       the process that renews the lease
    gpu_holder.json     the process that holds the GPUs of an allocation
    events.jsonl        recoveries, for the report
"""

import contextlib
import hashlib
import json
import os
import platform
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from llm_energy.runs import lease
from llm_energy.runs.run_records import HostIdle, RunRecord
from llm_energy.system.cache import CACHE
from llm_energy.system.files import read_json, read_lines, write_atomically
from llm_energy.system.host import describe_host
from llm_energy.system.processes import ProcessId
from llm_energy.system.variables import decisive, shown
from worker.records import read_value

Record = TypeVar("Record")

RUNS = CACHE / "runs"
RUN_VARIABLE = "LLM_ENERGY_RUN"
"""Environment variable that tells the jobs of a run which run they belong to."""

PYTHON_VARIABLE = "LLM_ENERGY_PYTHON"
"""Environment variable that tells the jobs of a cluster the interpreter of the workflow."""

JOB_VARIABLE = "SLURM_JOB_ID"
"""Environment variable by which Slurm tells a job which one it is."""

MEASURING_CODE = (
    "measure.py",
    "worker",
    *(
        f"llm_energy/{room}"
        for room in ("containers", "system", "results", "power", "backends", "measurement")
    ),
)
"""The code that decides a measured value, in scripts/: a run may not mix versions of it."""


def utc_now() -> str:
    """Now, as ISO 8601 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def code_digest(scripts: Path) -> str:
    """Sha256 over names and contents of the measuring code below `scripts`."""
    digest = hashlib.sha256()
    for part in MEASURING_CODE:
        path = scripts / part
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        for file in files:
            digest.update(f"{file.relative_to(scripts)}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def folder_for_sockets() -> str:
    """Make the folder of a run's sockets, whose paths must be short."""
    return tempfile.mkdtemp(prefix="llm-energy-", dir="/tmp")


@dataclass(frozen=True)
class Run:
    """The folder of one run; everything in it is read when it is needed, never cached."""

    folder: Path

    @property
    def run_id(self) -> str:
        return self.folder.name

    @classmethod
    def create(
        cls,
        *,
        campaign: str,
        results: Path,
        scripts: Path,
        owner: ProcessId | None = None,
    ) -> "Run":
        """Enter a new run that adds to the folder `results`.

        Args:
            owner: the process that it ends with; None: this one.
        """
        run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        record = RunRecord(
            run_id=run_id,
            campaign=campaign,
            results=str(results),
            host_facts=describe_host(scripts.parent),
            owner=owner or ProcessId.current(),
            code_digest=code_digest(scripts),
            started=utc_now(),
            sockets=folder_for_sockets(),
            variables=decisive(os.environ),
        )
        return cls(RUNS.absolute() / run_id).entered(record)

    def part(self, name: str) -> "Run":
        """Return the run of a part of this one, which need not exist: `job7`, `set1`."""
        return Run(self.folder.with_name(f"{self.run_id}-{name}"))

    def entered(self, record: RunRecord) -> "Run":
        """Return this run, entered with its record."""
        try:
            for name in ("backends", "declared", "experiments"):
                (self.folder / name).mkdir(parents=True)
            lease.renew(self.lease)
            self.write("run", record)
            self.publish(ended=None)  # results refer to it, even where this folder is deleted
        except BaseException:  # a full disk: without its record no later run finds it
            for folder in (Path(record.sockets), self.folder):
                shutil.rmtree(folder, ignore_errors=True)
            raise
        return self

    @classmethod
    def of_invocation(cls) -> "Run | None":
        """The run of the Snakemake invocation that this process is a job of, while it lasts."""
        folder = os.environ.get(RUN_VARIABLE)
        return cls(Path(folder)) if folder and Path(folder, "run.json").exists() else None

    @classmethod
    def current(cls) -> "Run | None":
        """The run that this process is a job of; where its allocation has one, that."""
        own = cls.folder_of_allocation()
        return cls(own) if own and (own / "run.json").exists() else cls.of_invocation()

    @classmethod
    def folder_of_allocation(cls) -> Path | None:
        """Where the run of this allocation is, or would be; None outside of one."""
        folder, job = os.environ.get(RUN_VARIABLE), os.environ.get(JOB_VARIABLE)
        return Path(f"{folder}-job{job}") if folder and job else None

    @classmethod
    def all(cls) -> "list[Run]":
        """Every run entered below the working directory, the dead ones too."""
        return [cls(path.parent.absolute()) for path in sorted(RUNS.glob("*/run.json"))]

    def write(self, name: str, record: object) -> None:
        """Write a dataclass, or a list or a dict of JSON values, as `{name}.json`."""
        text = json.dumps(record, indent=1, default=vars)
        write_atomically(self.folder / f"{name}.json", text.encode())

    def find(self, name: str, kind: type[Record]) -> Record | None:
        """Read `{name}.json` as a `kind`; None where there is none.

        Raises:
            ValueError: it is no such record.
        """
        try:
            content = read_json(self.folder / f"{name}.json")
        except FileNotFoundError:
            return None
        return read_value(kind, content, name)

    def read(self, name: str, kind: type[Record]) -> Record:
        """Read `{name}.json` as a `kind`.

        Raises:
            ValueError: it is not there, or no such record.
        """
        record = self.find(name, kind)
        if record is None:
            raise ValueError(f"the run {self.run_id} has no {name}.json")
        return record

    def all_in(self, folder: str, kind: type[Record]) -> dict[str, Record]:
        """Every record in a folder of the run, by name."""
        paths = sorted((self.folder / folder).glob("*.json"))
        found = {path.stem: self.find(f"{folder}/{path.stem}", kind) for path in paths}
        return {name: record for name, record in found.items() if record is not None}

    @property
    def record(self) -> RunRecord:
        """Content of run.json. Raises ValueError where it has ended, or is no record of ours."""
        return self.read("run", RunRecord)

    @property
    def results(self) -> Path:
        """The folder of results that it adds to; it moves with the working folder."""
        return self.working_folder / self.record.results

    @property
    def spreads(self) -> bool:
        """True where it measures nothing itself: its blocks lie in runs that are parts of it."""
        return (self.folder / "spread.json").exists()

    @property
    def on_this_host(self) -> bool:
        """False for other hosts' runs, which a shared file system shows."""
        return self.record.host_facts.host == platform.node()

    def alive(self) -> bool:
        """Return whether its owner lives; on another host, whether its lease was renewed lately."""
        if self.on_this_host:
            return self.record.owner.alive()
        return lease.renewed_lately(self.lease)

    @property
    def working_folder(self) -> Path:
        """Where the workflow runs: relative paths of the run start there."""
        return self.folder.parents[len(RUNS.parts)]

    @property
    def whole(self) -> "Run":
        """The run that this one is a part of; itself where it is no part."""
        invocation = self.record.invocation
        return Run(self.folder.with_name(invocation)) if invocation else self

    @property
    def invocation(self) -> "Run":
        """The run that it was planned in, which may have ended; a part may be one of a part."""
        whole = self.whole
        ends = whole == self or not (whole.folder / "run.json").exists()
        return whole if ends else whole.invocation

    @property
    def lease(self) -> Path:
        return self.folder / "lease"

    @property
    def measuring_lock(self) -> Path:
        """Lock that is held during a measurement, and by work that must not disturb one."""
        return self.folder / "measuring.lock"

    def add_event(self, kind: str, **facts: Any) -> None:
        """Append one event (a recovery, an expiry) to the run's record."""
        line = json.dumps({"time": utc_now(), "kind": kind, **facts})
        with (self.folder / "events.jsonl").open("a") as file:
            file.write(line + "\n")

    def events(self) -> Iterator[dict[str, Any]]:
        yield from read_lines(self.folder / "events.jsonl")

    def publish(self, *, ended: str | None) -> None:
        """Keep what a reader of the results must know of this run beside them.

        Args:
            ended: when it ended, as of `utc_now`; None where it goes on, or nobody saw its end.
        """
        record = self.record
        content = {
            "run_id": record.run_id,
            "campaign": record.campaign,
            "host_facts": record.host_facts,
            "session_id": record.session_id,
            "code_digest": record.code_digest,
            "shares_host": record.shares_host,
            "device_uuids": record.device_set and list(record.device_set.devices),
            "cpu_set": record.cpu_set,
            "variables": shown(record.variables),
            "started": record.started,
            "ended": ended,
            "events": list(self.events()),
            "snakemake": version("snakemake"),
            "host_idle": self.all_in("host_idle", HostIdle),
        }
        path = self.results / "runs" / f"{self.run_id}.json"
        write_atomically(path, json.dumps(content, indent=1, default=vars).encode() + b"\n")

    def remove(self) -> None:
        """Forget the run: called last, when nothing that it owned is left."""
        with contextlib.suppress(ValueError):  # another process has forgotten it meanwhile
            shutil.rmtree(self.record.sockets, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
