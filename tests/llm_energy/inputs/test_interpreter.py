"""The Python of an environment in an image: what it sees of this machine."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError
from docker.models.containers import ContainerCollection

from llm_energy.inputs.interpreter import Environment, ask_worker, run_python
from llm_energy.system.errors import InputError


@pytest.fixture
def boxed(debian: str) -> dict[str, Any]:
    """An environment in an image, without any engine."""
    environment = {"kind": "image", "image": debian, "reference": debian, "device": "cpu"}
    return environment | {"python": "/usr/bin/python3"}


def printed(boxed: dict[str, Any], code: str, log: Path, **paths: Any) -> str:
    done = run_python(boxed, ["-c", code], deadline_s=300.0, log=log, **paths)
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


def test_it_reads_what_a_link_points_to(boxed: dict[str, Any], tmp_path: Path, log: Path) -> None:
    """As in a snapshot of the Hugging Face cache, whose files are links out of its folder."""
    snapshot, blobs = tmp_path / "snapshots" / "main", tmp_path / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "abc").write_text("same")
    links = [snapshot / "one.json", snapshot / "two.json"]
    for link in links:
        link.symlink_to("../../blobs/abc")
    code = f"import pathlib; print([pathlib.Path(p).read_text() for p in {[*map(str, links)]!r}])"
    assert printed(boxed, code, log, readable=links) == "['same', 'same']"


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


def test_leftovers_that_somebody_else_removes_at_this_moment_stop_nobody(
    boxed: dict[str, Any], log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise APIError("409 Conflict", explanation="a prune operation is already running")

    monkeypatch.setattr(ContainerCollection, "prune", refuse)
    assert printed(boxed, "print('run')", log) == "run"


def test_gpus_that_the_engine_cannot_give_are_reported(boxed: dict[str, Any], log: Path) -> None:
    if shutil.which("nvidia-container-runtime-hook"):
        pytest.skip("this engine can give GPUs")
    with pytest.raises(InputError, match="nvidia-ctk runtime configure"):
        printed(boxed | {"device": "gpu"}, "", log)


def environment(python: Path) -> Environment:
    return {"kind": "venv", "python": str(python)}


def interpreter(tmp_path: Path, script: str) -> Environment:
    """An environment with an executable where it should have its Python."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return environment(path)


def test_the_answer_is_the_last_line_whatever_the_engine_prints(tmp_path: Path, log: Path) -> None:
    python = interpreter(tmp_path, """echo "loading {1}"; echo '{"token_ids": [[1, 2]]}'""")
    assert ask_worker(python, {"op": "tokenize"}, log=log) == {"token_ids": [[1, 2]]}


def test_the_question_arrives_as_json_and_stderr_goes_to_the_log(tmp_path: Path, log: Path) -> None:
    python = interpreter(tmp_path, "echo noise >&2; cat")
    question = {"op": "tokenize", "texts": ["é\n"]}
    assert ask_worker(python, question, log=log) == question
    assert log.read_text() == "noise\n"


def test_it_gets_no_token_and_no_network(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    python = interpreter(tmp_path, """echo "{\\"is\\": \\"$HF_TOKEN/$HF_HUB_OFFLINE\\"}\"""")
    assert ask_worker(python, {"op": "describe"}, log=log) == {"is": "/1"}


def test_a_failure_is_reported_in_one_line(tmp_path: Path, log: Path) -> None:
    answer = json.dumps({"error": "no such model:\n  tiny.gguf"})
    python = interpreter(tmp_path, f"printf '%s\\n' '{answer}'; exit 1")
    with pytest.raises(InputError) as caught:
        ask_worker(python, {"op": "tokenize"}, log=log)
    assert str(caught.value) == (
        f"tokenize with {tmp_path}/python failed: no such model: tiny.gguf (log: {log})"
    )


@pytest.mark.parametrize(
    ("library", "remedy"),
    [
        ("libgomp.so.1", "sudo apt-get install -y libgomp1"),
        ("libnuma.so.1", "sudo apt-get install -y libnuma1"),
        ("libstrange-2.so.7", "install the system package that has it"),
    ],
)
def test_a_missing_system_library_is_named_with_its_package(
    tmp_path: Path, log: Path, library: str, remedy: str
) -> None:
    words = f"{library}: cannot open shared object file: No such file or directory"
    answer = json.dumps({"error": f"ImportError: {words}"})
    python = interpreter(tmp_path, f"printf '%s\\n' '{answer}'; exit 1")
    with pytest.raises(InputError, match=f"the system library {library} is missing; .*{remedy}"):
        ask_worker(python, {"op": "describe"}, log=log)


@pytest.mark.parametrize("script", ["exit 3", "echo not json; exit 3", "echo '[1]'; exit 3"])
def test_a_worker_that_ends_without_an_answer_is_reported(
    tmp_path: Path, log: Path, script: str
) -> None:
    python = interpreter(tmp_path, script)
    with pytest.raises(InputError, match=r"describe with .* failed: exit code 3"):
        ask_worker(python, {"op": "describe"}, log=log)


def test_an_interpreter_that_cannot_be_started_is_reported(tmp_path: Path, log: Path) -> None:
    (tmp_path / "python").touch()
    if os.access(tmp_path / "python", os.X_OK):
        pytest.fail("a new file must not be executable")
    with pytest.raises(InputError, match="python: cannot be started: Permission denied"):
        ask_worker(environment(tmp_path / "python"), {"op": "describe"}, log=log)
