"""CUDA's availability is read from the driver, without a context."""

import subprocess
from pathlib import Path

import pytest

from worker.cuda import fault

DRIVER = """
int cuInit(unsigned flags) {{ return {init}; }}
int cuDeviceGetCount(int *count) {{ *count = {devices}; return {count}; }}
"""


@pytest.fixture
def driver(tmp_path: Path):
    """Builds a driver library whose calls return the given answers."""

    def build(*, init: int = 0, count: int = 0, devices: int = 1) -> str:
        source, library = tmp_path / "cuda.c", tmp_path / "libcuda.so.1"
        source.write_text(DRIVER.format(init=init, count=count, devices=devices))
        subprocess.run(["cc", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
        return str(library)

    return build


def test_a_driver_with_a_gpu_is_well(driver):
    assert fault(library=driver()) is None


def test_without_a_driver_there_is_nothing_to_ask():
    assert fault(library="libcuda-that-is-nowhere.so") is None


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"init": 999}, "cuInit returned 999"),
        ({"count": 3}, "cuDeviceGetCount returned 3"),
        ({"devices": 0}, "CUDA sees no GPU"),
    ],
)
def test_the_fault_is_reported(driver, answers, message):
    assert fault(library=driver(**answers)) == message


def test_a_container_that_got_no_gpu_is_found_out():
    """An engine may ignore a request for GPUs without an error."""
    missing = "libcuda-that-is-nowhere.so"
    assert fault(1, missing) == f"there is no {missing}, and 1 or more GPUs were requested"


@pytest.mark.parametrize(
    ("devices", "message"),
    [(1, "CUDA sees 1 of 2 requested GPUs"), (2, None), (3, None)],
)
def test_a_container_that_got_too_few_gpus_is_found_out(driver, devices, message):
    assert fault(2, driver(devices=devices)) == message
