#!/usr/bin/python3 -I
"""Set power limit and clocks of an NVIDIA GPU, and restore them: the only part that needs root.

    gpu_control.py set UUID --owner PID [--power-limit-milliwatts N]
                       [--sm-clock-mhz LEAST GREATEST] [--memory-clock-mhz LEAST GREATEST]
    gpu_control.py restore UUID [--owner PID]
    gpu_control.py check UUID

`set` gives the GPU exactly this: what is not named is as it was found. Before the first change it
writes /run/llm-energy-gpu/UUID.json, which `restore` needs and removes (docs/power-limits.md). A
power limit is restored only if it is still ours. It prints one JSON object, or one line (exit 1).
"""

import argparse
import ctypes
import fcntl
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

DEFAULT, VARIABLE = "/run/llm-energy-gpu", "GPU_CONTROL_RECORDS"
"""Folder of the records; another for tests, not under sudo, where it would be the user's choice."""
FOLDER = Path(DEFAULT if "SUDO_UID" in os.environ else os.environ.get(VARIABLE, DEFAULT))
TOLERANCE_MILLIWATTS = 500  # a driver may round a limit by this much
UUID = re.compile(r"GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
BY_HAND = "set the GPU as it should be (nvidia-smi -i UUID -pl WATTS, and -rgc, -rmc)"
MODULE = Path("/sys/module/nvidia")
ERRORS = {
    2: "invalid argument",
    3: "this GPU or its driver does not support it",
    4: "no permission: needs root on the host (a container may not have it)",
    6: "there is no such GPU",
    9: "the driver is not loaded",
    15: "the GPU is lost",
}
Record = dict[str, Any]
OWNER = {"pid": int, "start_ticks": int, "pid_namespace": str}
FIELDS = {"device": str, "user": str, "boot": str, "module": object, "counted_millijoules": object}
FIELDS |= {"owner": dict, "ours_milliwatts": list, "locked_sm": bool, "locked_memory": bool}
FIELDS |= {"found_milliwatts": int}


def fail(message: str) -> NoReturn:
    sys.exit(f"gpu_control: {message}")


class Gpu:
    """One GPU by NVML; every refusal of the driver ends the program with one line."""

    def __init__(self, uuid: str) -> None:
        try:
            self._nvml = ctypes.CDLL("libnvidia-ml.so.1")
        except OSError:
            fail("there is no NVIDIA driver (no libnvidia-ml.so.1)")
        self._handle = ctypes.c_void_p()
        self.uuid, self.record = uuid, FOLDER / f"{uuid}.json"
        self._check("nvmlInit_v2", self._nvml.nvmlInit_v2())
        found = self._nvml.nvmlDeviceGetHandleByUUID(uuid.encode(), ctypes.byref(self._handle))
        self._check("finding it", found)

    def _check(self, what: str, code: int) -> None:
        if code:
            fail(f"{self.uuid}: {what}: {ERRORS.get(code, f'NVML error {code}')}")

    def call(self, function: str, *numbers: int) -> None:
        """Call a setter."""
        arguments = [ctypes.c_uint(number) for number in numbers]
        self._check(function, getattr(self._nvml, function)(self._handle, *arguments))

    def read(self, function: str, kind: Any = ctypes.c_uint, count: int = 1) -> list[int]:
        """Call a query that fills `count` numbers."""
        values = [kind() for _ in range(count)]
        pointers = [ctypes.byref(value) for value in values]
        self._check(function, getattr(self._nvml, function)(self._handle, *pointers))
        return [value.value for value in values]

    def limit(self) -> int:
        return self.read("nvmlDeviceGetPowerManagementLimit")[0]

    def counted(self) -> int | None:
        """Energy counter in mJ, which starts again with the driver and the GPU; None without."""
        value = ctypes.c_ulonglong()
        query = self._nvml.nvmlDeviceGetTotalEnergyConsumption
        return None if query(self._handle, ctypes.byref(value)) else value.value


def namespace() -> str:
    return str(Path("/proc/self/ns/pid").readlink())


def boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def module() -> int | None:
    """Return the identity of the driver's module in sysfs: another one after it was loaded anew."""
    try:
        return MODULE.stat().st_ino
    except OSError:
        return None


def process(pid: int) -> Record | None:
    """Return what identifies a process; None where it does not live."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    if fields[0] in "ZX":
        return None
    return {"pid": pid, "start_ticks": int(fields[19]), "pid_namespace": namespace()}


def alive(owner: Record) -> bool:
    """Return whether an owner lives; one of another container cannot be seen, and counts so."""
    return owner["pid_namespace"] != namespace() or process(owner["pid"]) == owner


def void(record: Record, gpu: Gpu) -> bool:
    """Return whether what was set is gone with a reboot, a driver or a reset of the GPU."""
    counted = gpu.counted()
    anew = counted is not None and counted < (record["counted_millijoules"] or 0)
    return record["boot"] != boot() or record["module"] != module() or anew


def read_record(path: Path) -> Record | None:
    if not path.exists():
        return None
    try:
        record: Record = json.loads(path.read_text())
        kinds = [isinstance(record[name], kind) for name, kind in FIELDS.items()]
        kinds += [isinstance(record["owner"][name], kind) for name, kind in OWNER.items()]
    except (OSError, ValueError, KeyError, TypeError):
        kinds = [False]
    if not all(kinds):
        fail(f"{path} is damaged, and never overwritten: {BY_HAND}, then remove it")
    return record


def write_record(path: Path, record: Record) -> None:
    """Write it whole, and on the disk before anything is set."""
    temporary = path.with_suffix(".new")
    with temporary.open("w") as file:
        json.dump(record, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def is_ours(limit: int, record: Record) -> bool:
    return any(abs(limit - each) <= TOLERANCE_MILLIWATTS for each in record["ours_milliwatts"])


def set_limit(gpu: Gpu, milliwatts: int) -> int:
    """Set a power limit and return what the driver has then."""
    gpu.call("nvmlDeviceSetPowerManagementLimit", milliwatts)
    now = gpu.limit()
    if abs(now - milliwatts) > TOLERANCE_MILLIWATTS:
        fail(f"{gpu.uuid}: the driver took {milliwatts / 1e3:g} W and has {now / 1e3:g} W")
    return now


def restore(gpu: Gpu, record: Record) -> str:
    """Undo what a record names, and remove it; it stays where the driver refuses."""
    outcome = "void"
    if not void(record, gpu):
        now, found = gpu.limit(), record["found_milliwatts"]
        outcome = "restored"
        if is_ours(now, record) and now != found:
            set_limit(gpu, found)
        elif now != found:
            outcome = "changed_by_others"
        if record["locked_sm"]:
            gpu.call("nvmlDeviceResetGpuLockedClocks")
        if record["locked_memory"]:
            gpu.call("nvmlDeviceResetMemoryLockedClocks")
    gpu.record.unlink()
    return outcome


def check_wanted(gpu: Gpu, wanted: argparse.Namespace) -> None:
    """Refuse what the board cannot do, and a driver that would forget it."""
    limit = wanted.power_limit_milliwatts
    if limit is not None:
        least, most = gpu.read("nvmlDeviceGetPowerManagementLimitConstraints", count=2)
        if not least <= limit <= most:
            fail(f"{gpu.uuid}: {limit / 1e3:g} W is outside of {least / 1e3:g} to {most / 1e3:g} W")
    if gpu.read("nvmlDeviceGetPersistenceMode") != [1]:
        fail(
            f"{gpu.uuid}: persistence mode is off, and the driver forgets what is set: "
            f"sudo nvidia-smi -i {gpu.uuid} -pm 1"
        )


def change(gpu: Gpu, wanted: argparse.Namespace) -> Record:
    """Give the GPU exactly what is wanted; a record is written before the first change."""
    owner, record = process(wanted.owner), read_record(gpu.record)
    if owner is None:
        fail(f"there is no process {wanted.owner}")
    if record is not None and (record["owner"] != owner or void(record, gpu)):
        if record["owner"] != owner and alive(record["owner"]):
            who = f"process {record['owner']['pid']} of {record['user']}"
            fail(f"{gpu.uuid}: {who} has set it, and lives; wait, or end it")
        restore(gpu, record)
        record = None
    check_wanted(gpu, wanted)
    now, limit = gpu.limit(), wanted.power_limit_milliwatts
    ours = record is not None and is_ours(now, record)
    found = record["found_milliwatts"] if record is not None and ours else now
    known = record or {"ours_milliwatts": [], "locked_sm": False, "locked_memory": False}
    mine = known["ours_milliwatts"] if ours else []
    new = {
        "device": gpu.uuid,
        "owner": owner,
        "user": os.environ.get("SUDO_USER") or f"uid {os.getuid()}",
        "boot": boot(),
        "module": module(),
        "counted_millijoules": gpu.counted(),
        "found_milliwatts": found,
        "ours_milliwatts": mine + ([] if limit is None else [limit]),
        "locked_sm": known["locked_sm"] or wanted.sm_clock_mhz is not None,
        "locked_memory": known["locked_memory"] or wanted.memory_clock_mhz is not None,
    }
    write_record(gpu.record, new)
    try:
        if limit is not None or ours:
            new["ours_milliwatts"] = [set_limit(gpu, found if limit is None else limit)]
        for name, mhz, locked in (
            ("Gpu", wanted.sm_clock_mhz, new["locked_sm"]),
            ("Memory", wanted.memory_clock_mhz, new["locked_memory"]),
        ):
            if mhz is not None:
                gpu.call(f"nvmlDeviceSet{name}LockedClocks", *mhz)
            elif locked:
                gpu.call(f"nvmlDeviceReset{name}LockedClocks")
    except SystemExit:
        restore(gpu, read_record(gpu.record) or new)
        raise
    write_record(gpu.record, new)
    return {"limit_milliwatts": gpu.limit(), "found_milliwatts": found}


def undo(gpu: Gpu, owner: int | None) -> Record:
    record = read_record(gpu.record)
    if record is None:
        return {"outcome": "nothing_outstanding"}
    if alive(record["owner"]) and record["owner"]["pid"] != owner:
        fail(f"{gpu.uuid}: process {record['owner']['pid']} has set it, and lives; end it first")
    return {"outcome": restore(gpu, record)}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Set and restore power limit and clocks of a GPU.")
    parser.add_argument("action", choices=["set", "restore", "check"])
    parser.add_argument("uuid")
    for name in ("owner", "power-limit-milliwatts"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("sm-clock-mhz", "memory-clock-mhz"):
        parser.add_argument(f"--{name}", type=int, nargs=2)
    given = parser.parse_args()
    if not UUID.fullmatch(given.uuid):
        fail("the GPU must be given by its UUID, as `nvidia-smi -L` prints it")
    lists = [value if isinstance(value, list) else [value] for value in vars(given).values()]
    numbers = [number for each in lists for number in each if isinstance(number, int)]
    if any(not 0 < number < 10_000_000 for number in numbers):
        fail("numbers lie between 0 and 10 million")
    if given.action == "set" and given.owner is None:
        fail("set needs --owner, the process whose end undoes it")
    return given


def act(wanted: argparse.Namespace) -> Record:
    gpu = Gpu(wanted.uuid)
    if wanted.action == "check":
        read_record(gpu.record)  # a damaged one lets nothing be set
        gpu.call("nvmlDeviceSetPowerManagementLimit", gpu.limit())
        return {"outcome": "permitted"}
    return change(gpu, wanted) if wanted.action == "set" else undo(gpu, wanted.owner)


def main() -> None:
    wanted = arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # what is begun is ended
    os.umask(0o022)
    try:
        FOLDER.mkdir(mode=0o755, exist_ok=True)
        with (FOLDER / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            print(json.dumps(act(wanted)))
    except OSError as error:
        fail(f"{FOLDER}: {error.strerror}; nothing is changed without a record")


if __name__ == "__main__":
    main()
