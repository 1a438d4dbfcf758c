"""Sets power limit and clocks of GPUs, and restores them, through the one script that needs root.

What is set and by whom stands in a folder of root, one file for each GPU: the script writes it
before the first change and removes it when the GPU is as it was found (docs/power-limits.md).
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_energy.power.gpu_targets import Clocks, GpuSetting
from llm_energy.system.processes import ProcessId, pid_namespace

SCRIPT = Path(__file__).parents[3] / "envs/workflow/gpu_control.py"
INSTALLED = Path("/usr/local/sbin/llm-energy-gpu")
"""Copy of the script that root owns and that sudo may allow."""

RECORDS = Path(os.environ.get("GPU_CONTROL_RECORDS", "/run/llm-energy-gpu"))
DEADLINE_S = 30.0
REMEDY = f"sudo install -o root -g root -m 755 {SCRIPT} {INSTALLED}"
RULE = f"USER ALL=(root) NOPASSWD: {INSTALLED}"


class GpuControlError(Exception):
    """A GPU could not be set or restored; the message is one line."""


@dataclass(frozen=True)
class Outstanding:
    """A GPU that somebody set and that is not restored yet."""

    device: str
    owner_pid: int
    owner_start_ticks: int
    owner_lives: bool
    owner_elsewhere: bool
    """Its owner is of another container, and counts as alive: that cannot be seen."""
    user: str
    found_watts: float

    @property
    def owner(self) -> str:
        """The owner in words."""
        elsewhere = " in another container" if self.owner_elsewhere else ""
        return f"process {self.owner_pid} of {self.user}{elsewhere}"

    @property
    def command(self) -> str:
        """The command that restores it, once its owner is dead."""
        script = INSTALLED if INSTALLED.exists() else SCRIPT
        owner = f" --owner {self.owner_pid}" if self.owner_elsewhere else ""
        return f"sudo {script} restore {self.device}{owner}"


def refusal() -> str | None:
    """Return why this user may not set GPUs, with the remedy; None where that is not so."""
    if os.geteuid() == 0:
        return None
    if not INSTALLED.exists():
        return f"needs a script that root owns: {REMEDY}, then the rule `{RULE}` (visudo)"
    if INSTALLED.read_bytes() != SCRIPT.read_bytes():
        return f"{INSTALLED} is not of this version: {REMEDY}"
    try:
        command = ["sudo", "-n", "-l", str(INSTALLED)]
        permitted = subprocess.run(command, capture_output=True, timeout=DEADLINE_S)
    except (OSError, subprocess.TimeoutExpired):
        return "sudo does not work without a password or a terminal; start as root, or allow it"
    if permitted.returncode:
        return f"sudo does not allow {INSTALLED} without a password; the rule is `{RULE}` (visudo)"
    return None


def check(uuid: str) -> None:
    """Try whether the driver lets this user set a GPU: its limit, to what it is.

    Raises:
        GpuControlError: it does not.
    """
    _call("check", uuid)


def set_gpu(uuid: str, wanted: GpuSetting, *, owner_pid: int) -> float:
    """Set a GPU, but what is None, and return the power limit found before, in W.

    Raises:
        GpuControlError: the driver refused it or does otherwise, or another one has set it.
    """
    words: list[str | int] = ["--owner", owner_pid]
    if wanted.power_limit_watts is not None:
        words += ["--power-limit-milliwatts", round(1e3 * wanted.power_limit_watts)]
    for name in ("sm_clock_mhz", "memory_clock_mhz"):
        clocks: Clocks | None = getattr(wanted, name)
        if clocks is not None:
            words += [f"--{name.replace('_', '-')}", clocks.least, clocks.greatest]
    answer = _call("set", uuid, *map(str, words))
    return float(answer["found_milliwatts"]) / 1e3


def restore_gpu(uuid: str, *, owner_pid: int | None = None) -> str:
    """Restore a GPU as it was found; returns how that ended.

    Args:
        owner_pid: the process that set it, if that lives.

    Raises:
        GpuControlError: it could not be restored, or its owner lives and is another one.
    """
    owner = [] if owner_pid is None else ["--owner", str(owner_pid)]
    return str(_call("restore", uuid, *owner)["outcome"])


def outstanding() -> list[Outstanding]:
    """Return every GPU of this host that is set and not restored; without damaged records."""
    return [one for one in _records().values() if one is not None]


def damaged_records() -> list[Path]:
    """Return the records that cannot be read: what they set is not known."""
    return [path for path, one in _records().items() if one is None]


def _records() -> dict[Path, Outstanding | None]:
    found: dict[Path, Outstanding | None] = {}
    for path in sorted(RECORDS.glob("*.json")):
        try:
            found[path] = _outstanding(json.loads(path.read_text()))
        except FileNotFoundError:
            continue  # restored meanwhile
        except (OSError, ValueError, KeyError, TypeError):
            found[path] = None
    return found


def restore_all(*, owner: ProcessId | None) -> list[str]:
    """Restore what one process set, or with None what dead ones did; returns a line for each."""
    lines = []
    for one in outstanding():
        own = owner and (owner.pid, owner.start_ticks) == (one.owner_pid, one.owner_start_ticks)
        if one.owner_lives if owner is None else not own:
            continue
        try:
            outcome = restore_gpu(one.device, owner_pid=None if owner is None else owner.pid)
        except GpuControlError as error:
            lines.append(
                f"{one.device} still has other limits than it was found with: {error}; "
                f"restore it: {one.command}"
            )
        else:
            lines.append(f"{one.device}: {OUTCOMES.get(outcome, outcome)}")
    return lines


OUTCOMES = {
    "restored": "power limit and clocks are as they were found",
    "changed_by_others": "its power limit was changed by others meanwhile, and is left alone",
    "void": "driver or GPU were reset since it was set, nothing is to be restored",
    "nothing_outstanding": "restored meanwhile",
}


def _outstanding(record: dict[str, Any]) -> Outstanding:
    owner = record["owner"]
    elsewhere = owner["pid_namespace"] != pid_namespace()
    return Outstanding(
        device=record["device"],
        owner_pid=owner["pid"],
        owner_start_ticks=owner["start_ticks"],
        owner_lives=elsewhere or _lives(owner),
        owner_elsewhere=elsewhere,
        user=record["user"],
        found_watts=record["found_milliwatts"] / 1e3,
    )


def _lives(owner: dict[str, Any]) -> bool:
    process = ProcessId.of(owner["pid"])
    return process is not None and process.start_ticks == owner["start_ticks"]


def _call(*words: str) -> dict[str, Any]:
    root = os.geteuid() == 0
    command = [sys.executable, "-I", str(SCRIPT)] if root else ["sudo", "-n", str(INSTALLED)]
    try:
        done = subprocess.run(
            [*command, *words],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is not for it
        )
        if done.returncode == 0:
            answer: dict[str, Any] = json.loads(done.stdout)
            return answer
        message = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    except subprocess.TimeoutExpired:
        message = f"the driver did not answer within {DEADLINE_S:g} s"
    except (OSError, ValueError) as error:
        message = str(error)
    raise GpuControlError(message.removeprefix("gpu_control: "))
