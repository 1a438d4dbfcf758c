"""A checkout of the workflow in a temporary folder, driven through the real command."""

import contextlib
import copy
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from llm_energy.campaign.campaign import Campaign, load_campaign
from llm_energy.results import layout
from tests.integration.dag import Graph, graph_of

ROOT = Path(__file__).parents[2]
SNAKEMAKE = [str(Path(sys.executable).parent / "snakemake"), "--cores", "1"]
SNAKEMAKE += ["--profile", "workflow-profile"]
PATIENCE_S = 600.0
"""Nothing that is waited for takes so long, however busy the machine: what does hangs."""
GONE_S = 90.0
"""Anything that outlives its run is gone in 40 s; busy machines end it later."""
FINISHED = re.compile(r"^\[ *\d+/\d+\] (\S+) cycle (\d+): ", re.MULTILINE)

PILLOW = b"GGUF, or so the sleeping engine is told\n"
PILLOW_SHA256 = hashlib.sha256(PILLOW).hexdigest()

CAMPAIGN: dict[str, Any] = {
    "campaign": "nap",
    "seed": 1,
    "cycles": 2,
    "backends": {"sleep": {}},
    "models": {"pillow": {"source": {"path": "pillow.gguf", "sha256": PILLOW_SHA256}}},
    "prompts": {"sheep": {"file": "prompts.jsonl", "chat_template": False}},
    "measurement": {
        "minimum_duration_s": 0.05,
        "baseline_s": 0.0,
        "warmup_cap_s": 0.2,
        "tail_s": 0.02,
    },
    "defaults": {"backend": "sleep", "model": "pillow", "prompts": "sheep", "output_tokens": 4},
    "experiments": {"nap": {"axes": {"batch_size": [1, 2]}}},
}
"""Two experiments × two cycles on the engine that sleeps."""


def changed(**changes: Any) -> dict[str, Any]:
    """The campaign with top-level keys replaced."""
    return copy.deepcopy(CAMPAIGN) | changes


def in_containers(campaign: dict[str, Any], **container: Any) -> dict[str, Any]:
    """A campaign with its backends in containers, on the base image that is made of Debian."""
    backends = {
        name: {"runtime": "docker", "base": "debian", "container": container}
        for name in campaign["backends"]
    }
    return {**copy.deepcopy(campaign), "backends": backends}


class Tree:
    """One checkout with a campaign of its own."""

    def __init__(self, folder: Path, printed: str = "") -> None:
        self.folder = folder
        self.printed = printed
        """Output of the command that made it."""
        self.config = folder / "config" / "nap.yaml"

    @classmethod
    def create(cls, folder: Path, campaign: dict[str, Any] = CAMPAIGN) -> "Tree":
        """The product's files, and the test engine put in as any new backend would be."""
        listed = subprocess.run(
            ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"],
            capture_output=True,
            text=True,
            check=True,
        )
        for name in listed.stdout.splitlines():
            if not name.startswith("tests/") and (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        tree = cls(folder)
        tree.add_backend("sleep")
        (folder / "pillow.gguf").write_bytes(PILLOW)
        prompts = ["Count some sheep.", "And some more.", "Are they all there?", "Good night."]
        (folder / "prompts.jsonl").write_text(
            "".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts)
        )
        tree.write_campaign(campaign)
        return tree

    def copy(self, folder: Path, campaign: dict[str, Any] | None = None) -> "Tree":
        """The same tree elsewhere, with all its time stamps, caches and metadata; with another
        campaign, if one is given."""
        subprocess.run(["cp", "-a", str(self.folder), str(folder)], check=True)
        tree = Tree(folder, self.printed)
        if campaign is not None:
            tree.write_campaign(campaign)
        return tree

    def add_backend(self, name: str) -> None:
        """Install the sleeping engine under a name: one file and one folder."""
        source = ROOT / "tests" / "backends" / "sleep"
        shutil.copy2(source / "sleep.py", self.folder / f"scripts/worker/engines/{name}.py")
        (self.folder / "envs" / name).mkdir(parents=True, exist_ok=True)
        for file in ("requirements.txt", "Dockerfile"):
            shutil.copy2(source / file, self.folder / "envs" / name / file)

    def write_campaign(self, campaign: dict[str, Any]) -> None:
        self.config.write_text(yaml.safe_dump(campaign, sort_keys=False))

    def command(self, *arguments: str) -> list[str]:
        return [*SNAKEMAKE, *arguments, "--configfile", "config/nap.yaml"]

    def run(
        self, *arguments: str, check: bool = False, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the workflow to its end; stdout and stderr are one text."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
        )
        if check:
            assert done.returncode == 0, done.stdout
        return done

    def start(
        self, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start the workflow in a session of its own, its output in `output.log`."""
        with (self.folder / "output.log").open("wb") as output:
            return subprocess.Popen(
                self.command(*arguments),
                cwd=self.folder,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    def output(self) -> str:
        return (self.folder / "output.log").read_text(errors="replace")

    def campaign(self) -> Campaign:
        """Return the current content of the tree's campaign file."""
        with contextlib.chdir(self.folder):
            return load_campaign(
                yaml.safe_load(self.config.read_text()),
                files=[self.config],
                root=self.folder,
                lock=self.folder / "config" / "models.lock.yaml",
            )

    def plan(self) -> list[tuple[str, int]]:
        """(experiment, cycle) of all measurements in their planned order."""
        return [(planned.experiment.name, planned.cycle) for planned in self.campaign().schedule]

    def graph(self, *arguments: str) -> Graph:
        """The jobs that the command would run, found without a process of its own."""
        found = graph_of(self.folder, self.command(*arguments, "--dry-run")[1:])
        assert found.exit_code == 0, found.output
        names = self.campaign().names
        for job in found.jobs:
            if "spec" in job:
                job["experiment"] = names.get(job["spec"], job["spec"])
        return found

    def refusal(self, *arguments: str) -> str:
        """Output of the command, which is refused before it starts anything."""
        found = graph_of(self.folder, self.command(*arguments)[1:])
        assert found.exit_code != 0, found.output
        assert "Traceback" not in found.output
        return found.output

    def planned(self, *arguments: str) -> int:
        """How many measurements a dry run would start."""
        return len(self.graph(*arguments).measurements)

    def measured(self, *arguments: str) -> list[tuple[str, int]]:
        """Measure without reporting; the (experiment, cycle) measured, in their order."""
        return finished(self.run("measurements", *arguments, check=True).stdout)

    def results(self, campaign: str = "nap") -> list[Path]:
        return list(layout.files(self.folder / "results" / campaign, "measurements"))

    def of(self, name: str, campaign: str = "nap") -> list[Path]:
        """The results of an experiment that the campaign's file names, by cycle."""
        spec_hash = self.campaign().experiment(name).spec_hash
        return layout.cycles_of(self.folder / "results" / campaign, spec_hash)

    def named(self, result: Path) -> tuple[str, int]:
        """Name of the experiment, and cycle, of a result."""
        return self.campaign().names[result.parent.name], int(result.stem[-2:])

    def processes(self) -> list[int]:
        """Every living process that has to do with this tree: named in its command line or
        working in it, this test's own excepted."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            if int(entry.name) == os.getpid():
                continue
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
                cwd = str((entry / "cwd").readlink())
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if state not in "ZX" and (
                str(self.folder) in words or cwd.startswith(str(self.folder))
            ):
                found.append(int(entry.name))
        return found

    def runs(self) -> list[Path]:
        """Folders of runs that are entered: none after a clean end."""
        return sorted((self.folder / ".cache" / "runs").glob("*/run.json"))

    def run_facts(self) -> dict[str, Any]:
        """Return the record of the one run that is entered, and the process id of its watchdog."""
        (record,) = self.runs()
        facts: dict[str, Any] = json.loads(record.read_text())
        return facts | {"watchdog": json.loads((record.parent / "watchdog.json").read_text())}

    def backend(self, name: str = "sleep") -> dict[str, Any]:
        """The record of a backend of the one run that is entered."""
        record: dict[str, Any] = json.loads(
            (self.runs()[0].parent / "backends" / f"{name}.json").read_text()
        )
        return record

    def events(self, campaign: str = "nap") -> list[dict[str, Any]]:
        """Return the recoveries recorded by ended runs, in their order."""
        files = sorted((self.folder / "results" / campaign / "runs").glob("*.json"))
        return [event for file in files for event in json.loads(file.read_text())["events"]]

    def failures(self, campaign: str = "nap") -> list[dict[str, Any]]:
        """The failure records, in the order of their files."""
        folder = self.folder / "results" / campaign / "failures"
        return [json.loads(file.read_text()) for file in sorted(folder.rglob("*.json"))]


def finished(output: str) -> list[tuple[str, int]]:
    """The measurements that a run's output reports as finished."""
    return [(name, int(cycle)) for name, cycle in FINISHED.findall(output)]


def wait_for(what: Callable[[], Any], *, why: str = "") -> None:
    """Wait until `what()` is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S} s in vain: {why}"
        time.sleep(0.1)


def wait_until_gone(left: Callable[[], list[Any]]) -> None:
    """Wait until nothing of a run is left: as long as anything may outlive it."""
    deadline = time.monotonic() + GONE_S
    while found := left():
        assert time.monotonic() < deadline, f"after {GONE_S} s there is still {found}"
        time.sleep(0.5)
