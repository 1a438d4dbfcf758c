"""A real Slurm of one node, all of it below one folder: its own key, ports, configuration."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

DAEMONS = ("munged", "slurmctld", "slurmd")
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def require_slurm() -> None:
    """Skip without Slurm; fail where the caller's environment says there must be one."""
    missing = [name for name in (*DAEMONS, "sbatch") if shutil.which(name, path=PATH) is None]
    if os.geteuid() != 0:
        missing.append("root, which its daemons need")
    if missing:
        message = f"no Slurm: {', '.join(missing)} is not there (Debian: slurm-wlm, munge)"
        if os.environ.get("REQUIRE_SLURM"):
            pytest.fail(message)
        pytest.skip(message)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Cluster:
    """One node with all CPUs of this machine, in one partition."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._daemons: list[subprocess.Popen[bytes]] = []
        self.environment = {**os.environ, "PATH": PATH, "SLURM_CONF": str(folder / "slurm.conf")}

    def start(self) -> None:
        """Start the three daemons; returns once the node takes jobs."""
        folder, node = self._folder, socket.gethostname().split(".")[0]
        for name in ("state", "spool"):
            (folder / name).mkdir(parents=True)
        folder.chmod(0o755)
        (folder / "key").write_bytes(os.urandom(128))
        (folder / "key").chmod(0o600)
        cpus = os.cpu_count() or 1
        (folder / "slurm.conf").write_text(
            f"""ClusterName=tests
SlurmctldHost={node}(127.0.0.1)
SlurmctldPort={free_port()}
SlurmdPort={free_port()}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
ReturnToService=2
KillWait=10
MpiDefault=none
NodeName={node} NodeAddr=127.0.0.1 CPUs={cpus} Sockets=1 CoresPerSocket={cpus} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
        )
        self._daemon(
            [
                "munged",
                "--foreground",
                "--force",
                f"--key-file={folder}/key",
                f"--socket={folder}/munge.socket",
                f"--pid-file={folder}/munged.pid",
                f"--log-file={folder}/munged.log",
                f"--seed-file={folder}/munged.seed",
            ]
        )
        self._wait(lambda: (folder / "munge.socket").exists(), "munge's socket")
        self._daemon(["slurmctld", "-D", "-c"])
        self._daemon(["slurmd", "-D", "-N", node])
        self._wait(lambda: "idle" in self.ask("sinfo", "-h", "-o", "%T"), "an idle node")

    def stop(self) -> None:
        """End the daemons, the last one first."""
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def ask(self, *command: str) -> str:
        """What one of Slurm's commands prints; empty where it fails."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60
        )
        return done.stdout if done.returncode == 0 else ""

    def submit(self, script: Path, *arguments: str, options: Sequence[str], cwd: Path) -> str:
        """The id of a new batch job."""
        done = subprocess.run(
            ["sbatch", "--parsable", *options, str(script), *arguments],
            env=self.environment,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def state(self, job: str) -> str:
        """Such as `RUNNING`, `COMPLETED`, `FAILED`, `CANCELLED`, `TIMEOUT`."""
        shown = self.ask("scontrol", "show", "job", job)
        return next((w[9:] for w in shown.split() if w.startswith("JobState=")), "GONE")

    def _daemon(self, command: list[str]) -> None:
        with (self._folder / f"{command[0]}.out").open("ab") as log:
            self._daemons.append(
                subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
            )

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        for _ in range(600):
            if condition():
                return
            dead = [d.args for d in self._daemons if d.poll() is not None]
            assert not dead, f"{dead} ended: {self._logs()}"
            time.sleep(0.1)
        pytest.fail(f"waited in vain for {what}: {self._logs()}")

    def _logs(self) -> str:
        return "\n".join(path.read_text()[-2000:] for path in self._folder.glob("*.out"))
