"""The lock of a results folder, which lies in it: all that share the folder share the lock.

It is a file that is created exclusively and names its owner. The owner also holds it with flock,
which the kernel frees with the process. On the same host, flock and the owner's process show
whether the owner is dead. Whether an owner on another host is dead cannot be known here: such a
lock is never taken over.
"""

import contextlib
import fcntl
import getpass
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import TypeAdapter, ValidationError

from llm_energy.runs.run import utc_now
from llm_energy.system.files import canonical_json, open_regular
from llm_energy.system.processes import ProcessId, pid_namespace

FILE = ".lock"
MACHINE = Path("/etc/machine-id")
ATTEMPTS = 10
"""How often a lock that changes while it is looked at is looked at again."""


class LockedError(Exception):
    """A results folder that is in use; the message is one line with its remedy."""


@dataclass(frozen=True)
class Owner:
    """Who made a lock."""

    host: str
    machine: str
    """The host's own id, which its name need not be; empty where it has none."""
    namespace: str
    """Where its process ids mean something, beside the boot."""
    user: str
    process: ProcessId
    since: str

    @classmethod
    def here(cls) -> "Owner":
        machine = MACHINE.read_text().strip() if MACHINE.exists() else ""
        if machine == "uninitialized":  # by systemd, on a host that has never been started
            machine = ""
        user = str(os.getuid())
        with contextlib.suppress(OSError, KeyError):
            user = getpass.getuser()
        host, process = socket.gethostname(), ProcessId.current()
        return cls(host, machine, pid_namespace(), user, process, utc_now())

    def is_dead(self, *, flock: bool) -> bool:
        """Return whether it is proven dead, given that no process of this host holds the flock.

        Args:
            flock: the file system knows flock; without it nothing is known of a process whose id
                means nothing here.
        """
        here = Owner.here()
        if self.process.boot != here.process.boot:
            known = bool(self.machine)
            return known and (self.host, self.machine) == (here.host, here.machine)  # it rebooted
        if self.namespace != here.namespace:
            return flock
        return not self.process.alive()

    def is_here(self) -> bool:
        """Return whether it is of this boot of this host."""
        return self.process.boot == ProcessId.current().boot

    def __str__(self) -> str:
        return f"process {self.process.pid} of {self.user} on {self.host} since {self.since}"


class ResultsLock:
    """The lock of a results folder, held until `release` or the end of this process."""

    def __init__(self, results: Path) -> None:
        """Take the lock.

        Raises:
            LockedError: another run has it, or may have it.
            OSError: the folder cannot be written.
        """
        self._path = results / FILE
        # Written and held under a name of its own, so that nobody ever sees half of it: one that
        # no other host or container has, and that is swept where this process is killed now.
        own = results / f"{FILE}.{secrets.token_hex(8)}.tmp"
        self._file = own.open("w+")
        try:
            self._file.write(canonical_json(TypeAdapter(Owner).dump_python(Owner.here())))
            self._file.flush()
            os.fsync(self._file.fileno())
            with contextlib.suppress(OSError):  # a file system that does not know it
                _try_to_hold(self._file)
            self._put_into_place(own)
        except BaseException:
            self._file.close()
            raise
        finally:
            own.unlink(missing_ok=True)

    def release(self) -> None:
        """Give it back; idempotent."""
        if self._file.closed:
            return
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(self._file.fileno()), self._path.stat()):
                self._path.unlink()
        self._file.close()

    def _put_into_place(self, own: Path) -> None:
        for _ in range(ATTEMPTS):
            with contextlib.suppress(FileNotFoundError):  # released meanwhile
                try:
                    self._path.hardlink_to(own)
                except FileExistsError:
                    if self._replaced_dead(own):
                        return
                except OSError:  # a file system without hard links
                    with contextlib.suppress(FileExistsError):
                        os.close(os.open(self._path, os.O_CREAT | os.O_EXCL))
                        own.replace(self._path)
                        return
                    if self._replaced_dead(own):
                        return
                else:
                    return
        raise LockedError(f"{self._path} changes all the time; start again")

    def _replaced_dead(self, own: Path) -> bool:
        """Take over the lock of a dead owner; False where it changed meanwhile."""
        with self._opened() as there:
            held, flock = False, True
            try:
                _try_to_hold(there)
            except BlockingIOError:
                held = True
            except OSError:
                flock = False
            if not os.path.samestat(os.fstat(there.fileno()), self._path.stat()):
                return False
            owner = _owner(there)
            if owner is None or held or not owner.is_dead(flock=flock):
                raise LockedError(self._refusal(owner))
            # Whoever else finds it dead on this host is kept out by flock until it is replaced.
            own.replace(self._path)
            return True

    def _opened(self) -> IO[str]:
        """Open the lock that is there; a link is not followed, a pipe is not waited for.

        Raises:
            FileNotFoundError: it was released meanwhile.
            LockedError: it is no file, or cannot be read.
        """
        try:
            return os.fdopen(open_regular(self._path, os.O_NOFOLLOW))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise LockedError(self._refusal(None)) from error

    def _refusal(self, owner: Owner | None) -> str:
        is_folder = self._path.is_dir() and not self._path.is_symlink()
        release = f"rm {'-r ' * is_folder}{self._path}"
        if owner is None:
            return f"may be being measured: its lock does not say by whom; if by nobody: {release}"
        if owner.is_here():
            return f"is being measured by {owner}; wait for it to end, or end it"
        return (
            f"is being measured by {owner}, of which nothing can be known from here; wait for it "
            f"to end, or if it has ended: {release}"
        )


def _try_to_hold(file: IO[str]) -> None:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _owner(file: IO[str]) -> Owner | None:
    try:
        return TypeAdapter(Owner).validate_json(file.read())
    except (OSError, ValueError, ValidationError):
        return None
