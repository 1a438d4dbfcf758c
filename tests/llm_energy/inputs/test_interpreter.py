"""The Python of an environment in an image: what it sees of this machine."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from llm_energy.inputs.ask_worker import ask_worker
from llm_energy.inputs.interpreter import run_python
from llm_energy.system.errors import InputError


@pytest.fixture
def boxed(debian: str) -> dict[str, Any]:
    """An environment in an image, without any engine."""
    environment = {"kind": "image", "image": debian, "reference": debian, "device": "cpu"}
    return environment | {"python": "/usr/bin/python3"}


def printed(boxed: dict[str, Any], code: str, log: Path, **paths: Any) -> str:
    done = run_python(boxed, ["-c", code], deadline_s=30.0, log=log, **paths)
    assert done.returncode == 0, log.read_text()
    return done.stdout.decode().strip()


def test_it_reads_what_is_readable_and_writes_what_is_writable(
    boxed: dict[str, Any], tmp_path: Path, log: Path
) -> None:
    source, target, hidden = tmp_path / "a source", tmp_path / "target", tmp_path / "hidden"
    for folder in (source, target, hidden):
        folder.mkdir()
    (source / "weights").write_text("weights")
    code = f"""
import os, pathlib
source, target = pathlib.Path({str(source)!r}), pathlib.Path({str(target)!r})
(target / "copy").write_text((source / "weights").read_text())
try:
    (source / "weights").write_text("changed")
except OSError as error:
    print(error.strerror)
print(os.path.exists({str(hidden)!r}))
"""
    told = printed(boxed, code, log, readable=[source], writable=[target])
    assert told.splitlines() == ["Read-only file system", "False"]
    assert (target / "copy").read_text() == "weights"
    assert (target / "copy").stat().st_uid == os.getuid()


def test_it_has_no_network_no_secrets_and_stays_offline(
    boxed: dict[str, Any], log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    code = "import os, socket; print(os.environ.get('HF_TOKEN'), os.environ['HF_HUB_OFFLINE'], "
    code += "[name for _, name in socket.if_nameindex()])"
    assert printed(boxed, code, log) == "None 1 ['lo']"


def test_a_question_is_answered_by_the_worker_of_this_checkout(
    boxed: dict[str, Any], log: Path
) -> None:
    with pytest.raises(InputError, match=r"describe with /usr/bin/python3 in llm-energy/debian:"):
        ask_worker(boxed, {"op": "describe", "backend": "nothing"}, log=log)
    with pytest.raises(InputError, match="xllamacpp"):
        ask_worker(boxed, {"op": "describe", "backend": "llamacpp"}, log=log)


def test_what_it_writes_on_stderr_is_in_the_log(boxed: dict[str, Any], log: Path) -> None:
    printed(boxed, "import sys; print('noise', file=sys.stderr)", log)
    assert log.read_text() == "noise\n"


def test_a_path_that_the_host_lacks_is_reported(
    boxed: dict[str, Any], tmp_path: Path, log: Path
) -> None:
    with pytest.raises(InputError, match=r"the host has no .*/gone, which is to be mounted"):
        printed(boxed, "", log, readable=[tmp_path / "gone"])


def test_one_that_does_not_end_is_reported(boxed: dict[str, Any], log: Path) -> None:
    with pytest.raises(InputError, match="did not end in time"):
        run_python(boxed, ["-c", "import time; time.sleep(60)"], deadline_s=1.0, log=log)


def test_gpus_that_the_engine_cannot_give_are_reported(boxed: dict[str, Any], log: Path) -> None:
    if shutil.which("nvidia-container-runtime-hook"):
        pytest.skip("this engine can give GPUs")
    with pytest.raises(InputError, match="nvidia-ctk runtime configure"):
        printed(boxed | {"device": "gpu"}, "", log)
