"""A lease holds until its expiry, and only while its file says so."""

import time
from pathlib import Path

import pytest

from worker.lease import expired


def test_holds_until_its_expiry(tmp_path: Path) -> None:
    lease = tmp_path / "lease"
    lease.write_text(f"{time.monotonic() + 600:.3f}\n")
    assert not expired(lease)
    lease.write_text(f"{time.monotonic() - 0.001:.3f}\n")
    assert expired(lease)


@pytest.mark.parametrize("content", ["", "soon", "nan", "\x00"])
def test_what_is_no_number_is_no_lease(tmp_path: Path, content: str) -> None:
    lease = tmp_path / "lease"
    lease.write_text(content)
    assert expired(lease)


def test_a_missing_file_is_no_lease(tmp_path: Path) -> None:
    assert expired(tmp_path / "lease")
