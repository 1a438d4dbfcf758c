"""A real Slurm on this machine, all of it below one folder: its own key, ports, configuration."""

import os
import shutil
import socket
import stat
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

DAEMONS = ("munged", "slurmctld", "slurmd")
LOCK = Path(__file__).parents[2] / "envs/workflow/slurm.lock"
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


def python_with_plugin(folder: Path) -> str:
    """An interpreter with the packages of this one and, in `folder`, the plugin for Slurm."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    (packages / "base.pth").write_text(sysconfig.get_path("purelib"))
    python = folder / "bin" / "python"
    pip = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", LOCK], check=True)
    return str(python)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


IN_ITS_OWN_NAME = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"']
"""Starts a command on a host of another name, which is this machine none the less."""


class Cluster:
    """Nodes with all CPUs of this machine each, in one partition."""

    def __init__(self, folder: Path, nodes: Sequence[str] = (), gpus: int = 0) -> None:
        """Without names of `nodes` there is one, this machine.

        Args:
            gpus: of each node, whose device files are no devices.
        """
        self._folder = folder
        self._nodes = nodes
        self._gpus = gpus
        self._daemons: list[subprocess.Popen[bytes]] = []
        self._conf = folder / "slurm.conf"
        path = f"{folder}/bin:{PATH}"
        self.environment = {**os.environ, "PATH": path, "SLURM_CONF": str(self._conf)}

    def start(self) -> None:
        """Start the daemons; returns once the nodes take jobs."""
        folder, head = self._folder, socket.gethostname().split(".")[0]
        nodes = self._nodes or [head]
        for name in ("state", *(f"spool/{node}" for node in nodes)):
            (folder / name).mkdir(parents=True)
        folder.chmod(0o755)
        # Snakemake's plugin takes SLURM_CONF from the environment of srun.
        srun = folder / "bin" / "srun"
        srun.parent.mkdir()
        real = shutil.which("srun", path=PATH)
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self._conf} exec {real} "$@"\n')
        srun.chmod(0o755)
        (folder / "key").write_bytes(os.urandom(128))
        (folder / "key").chmod(0o600)
        cpus = os.cpu_count() or 1
        described = "\n".join(
            f"NodeName={node} NodeHostname={node} NodeAddr=127.0.0.1 Port={free_port()} "
            f"CPUs={cpus} Sockets=1 CoresPerSocket={cpus} {self._gres()} State=UNKNOWN"
            for node in nodes
        )
        self._conf.write_text(
            f"""ClusterName=tests
SlurmctldHost={head}(127.0.0.1)
SlurmctldPort={free_port()}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
ReturnToService=2
KillWait=10
MpiDefault=none
GresTypes=gpu
{described}
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
        for node in nodes:
            own_name = [*IN_ITS_OWN_NAME, node] if self._nodes else []
            self._daemon([*own_name, "slurmd", "-D", "-N", node])
        idle = ["idle"] * len(nodes)
        self._wait(lambda: self.ask("sinfo", "-h", "-N", "-o", "%T").split() == idle, "idle nodes")

    def _gres(self) -> str:
        """Make the device files of the GPUs, and return the key that names them to Slurm."""
        if not self._gpus:
            return ""
        for number in range(self._gpus):
            # Slurm sets CUDA_VISIBLE_DEVICES for device files only: copies of /dev/null.
            null = os.makedev(1, 3)
            os.mknod(self._folder / f"nvidia{number}", stat.S_IFCHR | 0o600, null)
        files = f"{self._folder}/nvidia[0-{self._gpus - 1}]"
        (self._folder / "gres.conf").write_text(f"Name=gpu File={files}\n")
        return f"Gres=gpu:{self._gpus}"

    def stop(self) -> None:
        """End the daemons, the last one first."""
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def inherit(self, *variables: str) -> None:
        """Let commands and their jobs have variables as this process has them."""
        self.environment.update({name: os.environ[name] for name in variables})

    def ask(self, *command: str) -> str:
        """Return the output of one of Slurm's commands; empty where it fails."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=600
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
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def state(self, job: str) -> str:
        """Such as `RUNNING`, `COMPLETED`, `FAILED`, `CANCELLED`, `TIMEOUT`; empty where the
        controller, which may be busy, does not say."""
        shown = self.ask("scontrol", "show", "job", job)
        return next((w[9:] for w in shown.split() if w.startswith("JobState=")), "")

    def _daemon(self, command: list[str]) -> None:
        with (self._folder / f"{command[0]}.out").open("ab") as log:
            self._daemons.append(
                subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
            )

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        for _ in range(6000):  # tenths of a second
            if condition():
                return
            dead = [d.args for d in self._daemons if d.poll() is not None]
            assert not dead, f"{dead} ended: {self._logs()}"
            time.sleep(0.1)
        pytest.fail(f"waited in vain for {what}: {self._logs()}")

    def _logs(self) -> str:
        return "\n".join(path.read_text()[-2000:] for path in self._folder.glob("*.out"))
