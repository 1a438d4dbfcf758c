"""Questions to the worker in a backend's environment."""

import json
import os
from pathlib import Path

import pytest

from llm_energy.inputs.ask_worker import ask_worker
from llm_energy.inputs.interpreter import Environment
from llm_energy.system.errors import InputError


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
