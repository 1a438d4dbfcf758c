"""A run: one Snakemake invocation that measures, and the record of all that it owns.

Whoever starts a backend during a run enters it in the run's folder `.cache/runs/{run_id}/`, so
that whoever cleans up (the run itself, its watchdog, a later run) finds everything there is:

    run.json            owner, campaign, digest of the measuring code, session
    plan.json           the planned order: [[experiment, cycle], ...]
    experiments/*.json  what each needed experiment is, as resolved when the run started
    declared/*.json     how each backend is started, as the campaign declares it
    backends/*.json     each backend that was started: its process or container
    host_idle/*.json    power of the devices without an engine, in each cycle
    temperatures.json   °C of the devices when the run first let a loaded engine idle
    health/*.json       failures in a row of each backend's infrastructure
    lease               CLOCK_MONOTONIC seconds until which its backends may live
    watchdog.json       the process that renews the lease
    events.jsonl        recoveries, for the report
"""

import hashlib
import json
import os
import platform
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from llm_energy.system.files import write_atomically
from llm_energy.system.processes import ProcessId, boot_id

RUNS = Path(".cache/runs")
RUN_VARIABLE = "LLM_ENERGY_RUN"
"""Environment variable that tells the jobs of a run which run they belong to."""

PYTHON_VARIABLE = "LLM_ENERGY_PYTHON"
"""Environment variable that tells the jobs of a cluster the interpreter of the workflow."""

JOB_VARIABLE = "SLURM_JOB_ID"
"""Environment variable by which Slurm tells a job which one it is."""

LEASE_S = 30.0
"""How long backends outlive the last renewal: the longest that anything survives its run."""

MEASURING_CODE = (
    "measure.py",
    "worker",
    *(
        f"llm_energy/{room}"
        for room in ("containers", "system", "results", "power", "backends", "measurement")
    ),
)
"""What decides a measured value, relative to scripts/: a run may not mix versions of it."""


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


@dataclass(frozen=True)
class Run:
    """The folder of one run; everything in it is read when asked for, never cached."""

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
        host_facts: dict[str, Any],
        run_id: str | None = None,
        further: Mapping[str, Any] | None = None,
    ) -> "Run":
        """Enter a new run, owned by this process, that adds to the folder `results`.

        Args:
            run_id: None for a new one.
            further: facts to enter beside, or instead of, those found here.
        """
        run_id = run_id or f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        run = cls(RUNS.absolute() / run_id)
        (run.folder / "backends").mkdir(parents=True)
        for name in ("experiments", "declared", "health", "host_idle"):
            (run.folder / name).mkdir()
        # Unix socket paths hold 107 characters: sockets live in a short folder of their own.
        sockets = tempfile.mkdtemp(prefix="llm-energy-", dir="/tmp")
        run.renew_lease()
        run.write(
            "run",
            {
                "run_id": run_id,
                "campaign": campaign,
                "results": str(results.absolute()),
                "host": platform.node(),
                "host_facts": host_facts,
                "owner": ProcessId.current().to_json(),
                "code_digest": code_digest(scripts),
                "session_id": f"{boot_id()[:8]}-{run_id}",
                "started": utc_now(),
                "sockets": sockets,
                **(further or {}),
            },
        )
        return run

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

    def write(self, name: str, content: dict[str, Any] | list[Any]) -> None:
        write_atomically(self.folder / f"{name}.json", json.dumps(content, indent=1).encode())

    def read(self, name: str) -> Any:
        """Content of `{name}.json`, None where there is none."""
        try:
            return json.loads((self.folder / f"{name}.json").read_text())
        except FileNotFoundError:
            return None

    @property
    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = self.read("run")
        return facts

    @property
    def owner(self) -> ProcessId:
        return ProcessId.from_json(self.facts["owner"])

    @property
    def results(self) -> Path:
        """The folder of results that it adds to."""
        return Path(self.facts["results"])

    @property
    def spreads(self) -> bool:
        """Whether it starts nothing itself: its measurements run in allocations elsewhere."""
        return bool(self.facts.get("spreads"))

    @property
    def on_this_host(self) -> bool:
        """Whether it was entered here: through a shared file system other hosts' runs are seen."""
        return bool(self.facts["host"] == platform.node())

    def alive(self) -> bool:
        """Whether its owner lives; on another host, whether its lease was renewed lately."""
        if self.on_this_host:
            return self.owner.alive()
        return time.time() - self.lease.stat().st_mtime < LEASE_S

    @property
    def working_folder(self) -> Path:
        """Where the workflow runs: relative paths of the run start there."""
        return self.folder.parents[len(RUNS.parts)]

    @property
    def lease(self) -> Path:
        return self.folder / "lease"

    @property
    def measuring_lock(self) -> Path:
        """Held during a measurement, and by whoever must not disturb one."""
        return self.folder / "measuring.lock"

    def renew_lease(self) -> None:
        """Let the run's backends live for another `LEASE_S` seconds."""
        write_atomically(self.lease, f"{time.monotonic() + LEASE_S:.3f}\n".encode())

    def add_event(self, kind: str, **facts: Any) -> None:
        """Append one event (a recovery, an expiry) to the run's record."""
        line = json.dumps({"time": utc_now(), "kind": kind, **facts})
        with (self.folder / "events.jsonl").open("a") as file:
            file.write(line + "\n")

    def events(self) -> Iterator[dict[str, Any]]:
        path = self.folder / "events.jsonl"
        if path.exists():
            for line in path.read_text().splitlines():
                yield json.loads(line)

    def all_in(self, folder: str) -> dict[str, dict[str, Any]]:
        """Content of every record in a folder of the run, by name."""
        return {
            path.stem: json.loads(path.read_text())
            for path in sorted((self.folder / folder).glob("*.json"))
        }

    def publish(self) -> None:
        """Keep what a reader of the results must know of this run beside them."""
        kept = ("run_id", "campaign", "host_facts", "session_id", "code_digest", "started")
        facts = self.facts
        record = {name: facts[name] for name in kept}
        record |= {"ended": utc_now(), "events": list(self.events())}
        record["snakemake"] = version("snakemake")
        record["host_idle"] = self.all_in("host_idle")
        path = Path(facts["results"]) / "runs" / f"{self.run_id}.json"
        write_atomically(path, json.dumps(record, indent=1).encode() + b"\n")

    def remove(self) -> None:
        """Forget the run: called last, when nothing that it owned is left."""
        shutil.rmtree(self.facts["sockets"], ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
