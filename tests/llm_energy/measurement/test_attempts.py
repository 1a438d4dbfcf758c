"""A measuring job: what it looks at before it begins, and how little it loads."""

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.disks import small_disk

from llm_energy.backends.runtime import BackendError
from llm_energy.measurement.attempts import as_failure, measure_planned, refuse_full_disk
from llm_energy.runs.run import RUN_VARIABLE, Run
from llm_energy.system.errors import ModelError
from llm_energy.system.processes import ProcessId
from llm_energy.system.scripting import UserError

SCRIPTS = Path(__file__).parents[3] / "scripts"
HEAVY = ("pandas", "numpy", "scipy", "matplotlib", "docker", "huggingface_hub", "jinja2")
HEAVY += ("llm_energy.campaign.campaign",)


def test_without_room_for_what_it_writes_nothing_is_measured(tmp_path):
    with small_disk(tmp_path / "results", size="20m"):
        with pytest.raises(BackendError, match=r"2[01] MB are left on the disk of") as refused:
            refuse_full_disk(tmp_path / "results")
        assert refused.value.reason == "disk_full"
    refuse_full_disk(tmp_path)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BackendError("backend_lost", "gone"), "backend_lost"),
        (ModelError("another file"), "input_error"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "disk_full"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS)), "disk_refused"),
        (OSError(errno.EIO, os.strerror(errno.EIO)), "disk_refused"),
        (NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)), "disk_refused"),
    ],
)
def test_every_failure_has_its_reason(error, reason):
    assert as_failure(error).reason == reason


def test_a_defect_is_a_failure_with_its_traceback_in_the_log(caplog):
    failure = as_failure(KeyError("tokens"))
    assert (failure.reason, str(failure)) == ("internal_error", "KeyError: 'tokens'")
    assert "KeyError" in caplog.records[0].exc_text
    assert as_failure(OSError(errno.EINVAL, os.strerror(errno.EINVAL))).reason == "internal_error"


def test_a_job_whose_run_died_before_it_began_measures_nothing(tmp_path, monkeypatch):
    """Its parent is another process by then, so that the kernel does not end it with the run."""
    monkeypatch.chdir(tmp_path)
    ended = subprocess.Popen(["true"])
    owner = replace(ProcessId.current(), pid=ended.pid)
    ended.wait()
    run = Run.create(campaign="nap", results=tmp_path, scripts=SCRIPTS, owner=owner)
    monkeypatch.setenv(RUN_VARIABLE, str(run.folder))
    with pytest.raises(UserError, match="the run that this measurement belongs to has ended"):
        measure_planned(
            tmp_path / "r.json", spec_hash="e", cycle=1, log=tmp_path / "l", begun_s=0.0
        )
    run.remove()


def test_a_measuring_job_loads_nothing_heavy():
    """Its imports run beside the engine that is measured."""
    code = (
        "import sys; import llm_energy.measurement.attempts;"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(SCRIPTS)},
    )
    assert done.stdout.strip() == "[]"
