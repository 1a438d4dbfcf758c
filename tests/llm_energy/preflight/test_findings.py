"""How findings are told, and questions that get no answer."""

import json
import os
import subprocess
import sys
import threading

from llm_energy.backends.runtime import SCRIPTS
from llm_energy.preflight.asking import RefusalError, SilentError, ask_all, reason
from llm_energy.preflight.findings import Finding, as_json, as_text, problems, summary

FOUND = [
    Finding("ok", "host", "it is there", {"cores": 2}),
    Finding("problem", "model m", "gone; bring it back"),
    Finding("warning", "load", "busy"),
    Finding("unknown", "cpu clock", "not said"),
    Finding("warning", "gpu", "hot"),
]


def test_each_finding_is_one_line_and_the_summary_comes_last():
    text = as_text("nap", FOUND)
    assert text.splitlines() == [
        "ok       host       it is there",
        "problem  model m    gone; bring it back",
        "warning  load       busy",
        "unknown  cpu clock  not said",
        "warning  gpu        hot",
        "",
        "Campaign nap on this machine: 1 problem, 2 warnings, 1 unknown",
    ]


def test_nothing_in_the_way_is_stated():
    assert summary(FOUND[:1]) == "nothing is in the way"


def test_json_says_the_same():
    content = json.loads(as_json("nap", FOUND))
    assert content["campaign"] == "nap"
    assert content["counts"] == {"ok": 1, "problem": 1, "warning": 2, "unknown": 1}
    assert content["findings"][0] == {
        "status": "ok",
        "subject": "host",
        "message": "it is there",
        "facts": {"cores": 2},
    }
    assert [finding.subject for finding in problems(FOUND)] == ["model m"]


def test_questions_are_sent_at_once_and_silent_ones_share_the_deadline():
    hold, waiting = threading.Event(), threading.Barrier(2)

    def hangs():
        waiting.wait()  # for the other one
        hold.wait()

    def refuses():
        raise RefusalError("no")

    def fails():
        raise KeyError("x")

    questions = {"a": lambda: 1, "b": hangs, "c": hangs, "d": refuses, "e": fails}
    answers = ask_all(questions, deadline_s=1.0)
    assert waiting.n_waiting == 0
    hold.set()
    assert answers["a"] == 1
    assert isinstance(answers["b"], SilentError)
    assert reason(answers["c"]) == "no answer within 1 s"
    assert reason(answers["d"]) == "no"
    assert reason(answers["e"]) == "KeyError: 'x'"


def test_a_defect_in_an_answer_prints_no_traceback_at_the_start_of_a_run():
    """Nothing but a rule's script sets up a log; without one, warnings go to the console."""
    code = "from llm_energy.preflight.asking import ask_all; ask_all({'a': lambda: {}['x']})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
