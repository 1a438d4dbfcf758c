"""A command that samples beside our sampler, as a real process: begun, read, ended, accounted."""

import time
from functools import partial

import pytest
from tests.children import running
from tests.llm_energy.validation.samplers import COUNTING, sampler
from tests.waiting import wait_until

from llm_energy.backends.process_runtime import ProcessRuntime
from llm_energy.backends.runtime import BackendRecord
from llm_energy.validation.nvidia_smi_beside import Beside, run_once
from llm_energy.validation.nvidia_smi_calibration import try_once
from llm_energy.validation.nvidia_smi_output import NvidiaSmiError

RECORD = BackendRecord("sleep", "process", "sleep-0", {})
EXECUTE = partial(ProcessRuntime().execute, RECORD)


def test_it_samples_while_the_sampler_does_and_until_a_row_lies_after_it():
    with Beside(EXECUTE, COUNTING) as beside:
        time.sleep(0.1)
        assert beside.lines == []  # the sampler does not run yet
        with sampler():
            wait_until(lambda: len(beside.lines) > 5, what="it has printed")
        over_s = time.monotonic()
    assert beside.lines[0][1] == "row 1 UTC0"
    assert beside.lines[-1][0] > over_s


def test_what_each_costs_comes_from_the_kernel():
    busy = [
        "sh",
        "-c",
        "while :; do echo row; i=0; while [ $i -lt 9999 ]; do i=$((i+1)); done; done",
    ]
    with Beside(EXECUTE, busy) as beside, sampler():
        wait_until(lambda: len(beside.lines) > 30, what="it has worked for some clock ticks")
    assert beside.command_cpu_s is not None
    assert beside.lasted_s is not None
    assert 0.0 < beside.command_cpu_s <= beside.lasted_s
    assert beside.reader_cpu_s is not None
    moments = [at for at, _ in beside.sampler_cpu_s]
    assert moments == sorted(moments)
    assert beside.sampler_cpu_s[-1][1] > beside.sampler_cpu_s[0][1]


def test_its_process_ends_with_it():
    words = "marked-7d1f6e"
    with Beside(EXECUTE, ["sh", "-c", f": {words}; {COUNTING[2]}"]), sampler():
        wait_until(lambda: running(words), what="it runs")
    assert not running(words)


def test_without_a_sampler_it_starts_nothing():
    with Beside(EXECUTE, COUNTING) as beside:
        pass
    assert beside.lines == []
    assert beside.lasted_s is None


def test_a_single_call_is_timed_and_its_errors_are_among_its_lines():
    lines, duration_s = run_once(EXECUTE, ["sh", "-c", "sleep 0.1; echo one; echo two >&2"])
    assert lines == ["one", "two"]
    assert duration_s >= 0.1


def test_where_there_is_no_nvidia_smi_one_line_says_so(monkeypatch, tmp_path):
    (tmp_path / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NvidiaSmiError) as caught:
        try_once(ProcessRuntime(), RECORD)
    message = str(caught.value)
    assert "\n" not in message
    assert "nvidia-smi does not work in the host where backend `sleep` runs" in message
    assert "not found" in message
    assert "comes with the NVIDIA driver" in message
