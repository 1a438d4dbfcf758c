"""A wall clock that is set back in the middle of a run changes stamps for people, and no number."""

import os
import subprocess
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from llm_energy.results.result import read_result
from llm_energy.workflow.input_functions import inputs_of
from tests.integration.faults import differences, left
from tests.integration.workflow import PATIENCE_S, changed, finished, wait_for

pytestmark = pytest.mark.integration

SOURCE = Path(__file__).with_name("clock.c")


@pytest.fixture
def clock(tmp_path):
    """The library that steps the clock, and the file that lets it do so."""
    library = tmp_path / "clock.so"
    command = ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*command, "-o", str(library), str(SOURCE)], check=True)
    return library, tmp_path / "step"


def test_inputs_newer_than_the_clock_cost_no_measurement(ready):
    """As after the clock was set back, or in a cache that was copied from a machine ahead."""
    ahead = time.time() + 3600
    for marker in inputs_of(ready.campaign().experiments[0]):
        os.utime(ready.folder / marker, (ahead, ahead))
    assert len(ready.measured()) == 4
    assert len(ready.results()) == 4
    for path in ready.results():
        os.utime(path, (ahead, ahead))
    ready.run("report", check=True)
    assert ready.graph("report").rules == set()
    assert len(ready.results()) == 4


def test_a_clock_that_steps_back_under_a_run_changes_no_number(ready, clock):
    library, step = clock
    ready.write_campaign(changed(cycles=5))  # some of them begin after the step
    process = ready.start(
        "measurements", environment={"LD_PRELOAD": str(library), "CLOCK_STEP": str(step)}
    )
    wait_for(lambda: finished(ready.output()) or process.poll() is not None, why=ready.output())
    step.touch()
    assert process.wait(timeout=PATIENCE_S) == 0, ready.output()
    results = sorted(map(read_result, ready.results()), key=lambda result: result.position)
    started = [datetime.fromisoformat(result.started) for result in results]
    assert (started[0] - started[-1]).total_seconds() > 3000, "the clock was not stepped"
    assert all(result.window.duration_s > 0 for result in results)
    for one, next_ in pairwise(results):
        assert one.phases[-1].end_monotonic_s <= next_.phases[0].start_monotonic_s
    assert differences(ready) == []
    assert left(ready) == []
    assert ready.planned() == 0
