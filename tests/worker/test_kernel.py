"""The kernel's count of processes killed for want of memory."""

from pathlib import Path

import pytest

from worker.kernel import oom_kills


@pytest.mark.parametrize(
    ("content", "count"), [("pgfault 1\noom_kill 3\n", 3), ("pgfault 1\n", None)]
)
def test_is_read_where_the_kernel_keeps_it(tmp_path: Path, content: str, count: int | None) -> None:
    vmstat = tmp_path / "vmstat"
    vmstat.write_text(content)
    assert oom_kills(vmstat) == count


def test_is_unknown_where_there_is_no_such_file(tmp_path: Path) -> None:
    assert oom_kills(tmp_path / "vmstat") is None
