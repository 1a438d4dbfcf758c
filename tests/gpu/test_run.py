"""`tests/gpu/run.sh` from its first line to its last, on a simulated GPU without network."""

import json
import subprocess
import tarfile

import pytest

from tests.integration.workflow import PATIENCE_S, ROOT
from tests.worker.conftest import required

SCRIPT = ROOT / "tests/gpu/run.sh"
pytestmark = pytest.mark.integration

OF_THE_MACHINE = {"sampler at 10 Hz", "sampler at 100 Hz", "one reading"}
"""Lines about time, which a machine fails that is busy with other tests."""


SLOW_S = 1800
"""Time for all parts of a rehearsal: a slow or busy host needs several times that of a GPU host."""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SCRIPT), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SLOW_S + PATIENCE_S,
    )


def engine() -> str:
    """The interpreter with torch and transformers that `make test` has made."""
    return required("LLM_ENERGY_TEST_PYTORCH_PYTHON")


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    out = tmp_path_factory.mktemp("evidence")
    python = engine()
    limit = ("--seconds", str(SLOW_S))
    done = run("--rehearse", "--quick", "--python", python, "--out", str(out), *limit)
    return done, out


def test_no_line_fails_on_a_gpu_that_is_well(rehearsed):
    done, out = rehearsed
    lines = json.loads((out / "lines.json").read_text())
    failed = {line["subject"].partition(" ")[2] for line in lines if line["verdict"] == "FAIL"}
    assert failed <= OF_THE_MACHINE, done.stdout
    assert done.returncode == bool(failed), done.stdout
    parts = [line["subject"] for line in lines if line["subject"].startswith("part ")]
    assert parts == [f"part {letter}" for letter in "abcdef"]


def test_it_says_that_sensors_are_simulated_and_weights_random(rehearsed):
    done, _ = rehearsed
    assert "ITS SENSORS ARE SIMULATED" in done.stdout
    assert "NOTE  model: random weights, architecture tiny" in done.stdout


def test_few_files_of_bounded_size_are_handed_over(rehearsed):
    _, out = rehearsed
    names = {"log.txt", "lines.json", "report.html", "campaign.tar.gz", "parts.tar.gz"}
    assert {path.name for path in out.iterdir()} == names
    assert sum(path.stat().st_size for path in out.iterdir()) < 16 * 2**20
    with tarfile.open(out / "parts.tar.gz") as archive:
        assert not [name for name in archive.getnames() if name.endswith(".safetensors")]
        assert "parts/nvml.json" in archive.getnames()


def test_a_part_that_cannot_run_is_a_line_and_the_next_one_follows(tmp_path):
    """The interpreter imports torch once, and never again."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$*" in *version*) exec {engine()} "$@";; esac\nexit 3\n')
    python.chmod(0o755)
    done = run("--python", str(python), "--out", str(tmp_path / "out"), "--quick")
    lines = json.loads((tmp_path / "out/lines.json").read_text())
    verdicts = {line["subject"]: line["verdict"] for line in lines}
    assert done.returncode == 1, done.stdout
    assert verdicts["a NVML"] == verdicts["b model"] == verdicts["part d"] == "FAIL"
    assert verdicts["part e"] == "NOTE"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name an interpreter that has torch and transformers: --python PYTHON"),
        (("--python", "/nowhere/python"), "there is no such interpreter; correct --python"),
        (("--pyton", "python3"), "unknown option --pyton"),
    ],
)
def test_a_mistake_is_one_line(arguments, words):
    done = run(*arguments)
    assert done.returncode == 2
    (line,) = done.stdout.splitlines()
    assert words in line
