"""How rule scripts end: in one line on the console, with the traceback in the rule's log."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from llm_energy.backends.runtime import SCRIPTS
from llm_energy.system.scripting import UserError, rule_script


@pytest.fixture
def job(tmp_path):
    """The object that a rule script is given: its rule's name, its inputs and its log."""
    log = str(tmp_path / "logs" / "measure.log")
    return SimpleNamespace(rule="measure", input=[], output=[], log=[log])


def os_error(number, path=None):
    return OSError(number, os.strerror(number), path)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UserError("correct it"), "measure: correct it"),
        (KeyError("expected"), "measure: 'expected'"),
        (ValueError("odd"), "measure: ValueError: odd (traceback: LOG)"),
        (
            os_error(errno.ENOSPC),
            "measure: no space left on the disk: make room, then start the same command again; "
            "see LOG",
        ),
        (
            os_error(errno.EACCES, "results/x"),
            "measure: cannot write or read here: results/x: Permission denied; change "
            "its permissions; see LOG",
        ),
        (
            os_error(errno.EISDIR, "results/x"),
            "measure: cannot write or read here: results/x: Is a directory; move away "
            "what lies there; see LOG",
        ),
        (
            os_error(errno.EIO),
            "measure: cannot write or read here: Input/output error; see whether its "
            "disk is well; see LOG",
        ),
        (os_error(errno.EINVAL), "measure: OSError: [Errno 22] Invalid argument (traceback: LOG)"),
    ],
)
def test_what_is_raised_is_one_line_and_leaves_its_traceback(job, capsys, error, told):
    with pytest.raises(SystemExit) as end, rule_script(job, KeyError):
        raise error
    assert end.value.code == 1
    assert capsys.readouterr().err.splitlines() == [told.replace("LOG", job.log[0])]
    assert "Traceback" in Path(job.log[0]).read_text()


def test_a_script_that_ends_well_says_nothing(job, capsys):
    with rule_script(job):
        pass
    assert capsys.readouterr() == ("", "")


PRINTING = """
import sys
from types import SimpleNamespace
from llm_energy.backends.runtime import SCRIPTS
from llm_energy.system.scripting import rule_script

with rule_script(SimpleNamespace(rule="plan", input=[], output=%s, log=[])):
    sys.stdin.read()  # until the reader is gone
    print("a plan", flush=True)
"""


@pytest.mark.parametrize(("output", "code"), [([], 0), (["made"], 1)])
def test_a_reader_that_has_seen_enough_is_no_error_where_nothing_is_made(output, code):
    """As of `snakemake plan | head`."""
    script = subprocess.Popen(
        [sys.executable, "-c", PRINTING % output],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert script.stdout is not None
    script.stdout.close()
    script.stdout = None
    _, printed = script.communicate("")
    assert script.returncode == code
    assert ("BrokenPipeError" in printed) == bool(code)


def ahead(path):
    path.write_text("")
    os.utime(path, (time.time() + 3600,) * 2)
    return str(path)


def test_inputs_newer_than_the_clock_are_made_as_new_as_now(job, tmp_path):
    """Also those that became so meanwhile: Snakemake deletes what is older than an input."""
    folder = tmp_path / "figures"
    folder.mkdir()
    files = [tmp_path / "before", folder / ".snakemake_timestamp", tmp_path / "meanwhile"]
    job.input = [ahead(files[0]), str(folder), str(files[2]), "gone"]
    ahead(files[1])
    with rule_script(job):
        ahead(files[2])
    assert all(path.stat().st_mtime <= time.time() for path in files)


def test_one_that_cannot_be_changed_is_named_before_anything_is_done(
    job, tmp_path, capsys, monkeypatch
):
    job.input = [ahead(tmp_path / "marker")]

    def refuse(*_):
        raise os_error(errno.EPERM)

    monkeypatch.setattr(os, "utime", refuse)
    with pytest.raises(SystemExit), rule_script(job):
        pytest.fail("it began")
    assert f"correct the clock, or touch {tmp_path / 'marker'}" in capsys.readouterr().err
