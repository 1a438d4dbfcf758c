"""Shared by all rule scripts: the log file, and one line for a mistake of the user."""

import contextlib
import errno
import logging
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

FULL = (errno.ENOSPC, errno.EDQUOT)
FOLDER_TIME = ".snakemake_timestamp"
"""File that holds the time of a folder, for Snakemake."""

INTERRUPTED = 128 + signal.SIGINT
REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)
IN_THE_WAY = (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP)
BROKEN = (errno.EIO, errno.ESTALE)


def end_without_traceback() -> None:
    """Let Ctrl-C end this process with one word, wherever it is."""
    as_before = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            print("Interrupted.", file=sys.stderr)
        else:
            as_before(kind, error, trace)

    sys.excepthook = show


class UserError(Exception):
    """A mistake of the user: its message is printed as it is, without a traceback."""


@contextmanager
def rule_script(snakemake: Any, *expected: type[Exception]) -> Iterator[None]:
    """Run a rule script's body: whatever it raises goes to the rule's log with its traceback.

    On the console, a `UserError` or an exception of one of the `expected` types is its own message,
    a disk that refuses is what to do about it, any other is a defect with the place of its
    traceback. All end the script with 1.
    """
    log = Path(snakemake.log[0]) if snakemake.log else None
    logging.raiseExceptions = False  # a log that cannot be written ends nothing
    if log is not None:
        with contextlib.suppress(OSError):
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text("")  # then append, as pip and the engines do to the same file
            logging.basicConfig(
                filename=log, filemode="a", level=logging.INFO, format="%(asctime)s %(message)s"
            )
    inputs = [Path(path) for path in snakemake.input]
    try:
        _not_from_the_future(inputs)
        yield
        sys.stdout.flush()
        with contextlib.suppress(UserError):  # what is made is not lost for this
            _not_from_the_future(inputs)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)  # Snakemake says it, once for all jobs
    except Exception as error:
        if isinstance(error, BrokenPipeError) and not snakemake.output and _reader_is_gone():
            return  # as of `plan | head`
        if log is not None:
            with contextlib.suppress(OSError), log.open("a") as file:
                traceback.print_exc(file=file)
        known = isinstance(error, (UserError, *expected))
        print(f"{snakemake.rule}: {error if known else _in_words(error, log)}", file=sys.stderr)
        sys.exit(1)


def _reader_is_gone() -> bool:
    """Return True, and discard what is still printed, where nobody reads the output any more."""
    output, waiting = sys.stdout.fileno(), select.poll()
    waiting.register(output, 0)
    gone = bool(waiting.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return gone


def _not_from_the_future(inputs: Iterable[Path]) -> None:
    """Make inputs that are newer than the clock as new as now, as after the clock was set back.

    Snakemake deletes what a job has made if an input is newer.

    Raises:
        UserError: one of them cannot be changed.
    """
    for path in inputs:
        for file in (path, path / FOLDER_TIME):
            try:
                if file.stat().st_mtime > time.time():
                    os.utime(file)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise UserError(
                    f"{file} is newer than the clock of this machine, and its time cannot be "
                    f"changed from here ({error.strerror}): correct the clock, or touch {file}"
                ) from error


def _in_words(error: Exception, log: Path | None) -> str:
    refused = disk_refusal(error)
    if refused is None:
        return f"{type(error).__name__}: {error} (traceback: {log})"
    return f"{refused}; see {log}"


def disk_refusal(error: Exception) -> str | None:
    """Advice on a disk that refused to write; None for any other error."""
    number = error.errno if isinstance(error, OSError) else None
    if number in FULL:
        return "no space left on the disk: make room, then start the same command again"
    remedies = {
        REFUSED: "change its permissions",
        IN_THE_WAY: "move away what lies there",
        BROKEN: "see whether its disk is well",
    }
    for numbers, remedy in remedies.items():
        if number in numbers:
            return f"cannot write or read here: {_place_and_fault(error)}; {remedy}"
    return None


def _place_and_fault(error: Exception) -> str:
    """Return `results/x: Permission denied`; of a file that is renamed, its new place."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    place = error.filename if error.filename2 is None else error.filename2
    return error.strerror if place is None else f"{place}: {error.strerror}"
