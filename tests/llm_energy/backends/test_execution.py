"""A command is run where the engine runs, here in a container, and ends when it is told to."""

import time
from functools import partial

import pytest
from tests.llm_energy.validation.samplers import COUNTING, sampler
from tests.waiting import wait_until

from llm_energy.backends import running
from llm_energy.backends.running import runtime_named
from llm_energy.validation.nvidia_smi_beside import Beside, run_once
from llm_energy.validation.nvidia_smi_calibration import try_once
from llm_energy.validation.nvidia_smi_output import NvidiaSmiError


def test_a_command_in_a_container(run):
    record = running.ensure_backend(run, "bare")
    docker = runtime_named(record.runtime)
    execute = partial(docker.execute, record)
    before = docker.processes(record)

    lines, _ = run_once(execute, ["sh", "-c", "cat /proc/1/comm; echo $LLM_ENERGY_RUN; pwd >&2"])
    assert lines[1:] == ["", "/tmp"]

    with Beside(execute, COUNTING) as beside:
        with sampler():
            wait_until(lambda: docker.processes(record) > before, what="it runs")
            wait_until(lambda: beside.lines, what="it has printed")
        over_s = time.monotonic()
    assert beside.lines[0][1] == "row 1 UTC0"
    assert beside.lines[-1][0] > over_s
    assert beside.command_cpu_s is not None
    wait_until(lambda: docker.processes(record) == before, what="it has ended")

    with pytest.raises(NvidiaSmiError, match="NVIDIA_DRIVER_CAPABILITIES") as caught:
        try_once(docker, record)
    assert "not found" in str(caught.value)
