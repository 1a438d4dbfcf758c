"""Ways in which what lies in the place of a file is not the file that was written there."""

import os
from collections.abc import Callable
from pathlib import Path


def folder(path: Path) -> None:
    path.mkdir(parents=True)


def link_to_nowhere(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def pipe(path: Path) -> None:
    os.mkfifo(path)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut_short(path: Path) -> None:
    path.write_bytes(b'{"token_ids": [[1, 2')


def deep(path: Path) -> None:
    path.write_bytes(b"[" * 100_000)


def a_list(path: Path) -> None:
    path.write_bytes(b"[1]")


def no_keys(path: Path) -> None:
    path.write_bytes(b"{}")


def no_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")


NO_FILE: tuple[Callable[[Path], None], ...] = (folder, link_to_nowhere, pipe)
NO_RECORD: tuple[Callable[[Path], None], ...] = (empty, cut_short, deep, a_list, no_keys, no_text)


def replace(path: Path, harm: Callable[[Path], None]) -> None:
    """Put what is no file in the place of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    harm(path)
