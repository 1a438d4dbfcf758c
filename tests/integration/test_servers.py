"""Servers as backends: launched ones end with their run, attached ones are left alone."""

import copy
import json
import os
import signal
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from tests.integration.workflow import (
    CAMPAIGN,
    PATIENCE_S,
    ROOT,
    finished,
    wait_for,
    wait_until_gone,
)
from tests.worker.serving.stand_in import StandIn, answer_all, answer_whole, serving
from worker.serving.address import listed_models

pytestmark = pytest.mark.integration

SECRET = "MarkerOfASecretThatNoFileMayHold"
PROCESS = ROOT / "tests/worker/serving/stand_in_process.py"
DIALECT = {
    "tokenizer": "sleep",
    "token_counts": "token_ids",
    "request": {"return_token_ids": True},
    "exact_length": {"ignore_eos": True},
    "properties": {
        "version": "/version version",
        "context_tokens": "/v1/models data.0.max_model_len",
    },
}


TEXT = {"prompt": "text", "token_counts": "usage_at_end"}
"""Keys of a server that takes no token ids, and counts at the end of an answer."""


def campaign(
    live: StandIn, form: Mapping[str, Any] = MappingProxyType({}), **measurement: Any
) -> dict[str, Any]:
    """One experiment on a server that is launched, one on a server that runs already."""
    command = ["{python}", str(PROCESS), "{port}"]
    launched = {"command": command, "environment": "sleep", "prefix_cache": "off", **DIALECT}
    url = f"http://127.0.0.1:{live.port}"
    attached = {"url": url, "token_variable": "LIVE_TOKEN", **DIALECT} | form
    changed = copy.deepcopy(CAMPAIGN)
    changed["backends"] = {"own-server": {"server": launched}, "live": {"server": attached}}
    del changed["defaults"]["backend"]
    changed["experiments"] = {"served": {"axes": {"backend": ["own-server", "live"]}}}
    changed["measurement"] |= measurement
    return changed


@pytest.fixture
def live() -> Iterator[StandIn]:
    with serving(answer_all) as server:
        yield server


def test_both_are_measured_and_verified_and_no_file_has_the_secret(tmp_path, ready_template, live):
    changed = campaign(live, TEXT) | {"cycles": 1}
    own = changed["backends"]["own-server"] | {"pass_variables": ["MINE_KEY"]}
    needs_key = 'test "$MINE_KEY" && exec "$0" "$@"'
    own["server"]["command"] = ["/bin/sh", "-c", needs_key, *own["server"]["command"]]
    changed["backends"]["own-server"] = own
    tree = ready_template.copy(tmp_path / "tree", changed)
    environment = {"LIVE_TOKEN": SECRET, "MINE_KEY": f"{SECRET}2"}
    assert "MINE_KEY is not set, or is empty; set it" in tree.run("preflight").stdout
    checked = tree.run("preflight", environment=environment)
    assert "MINE_KEY is set; its value is not recorded" in checked.stdout
    assert "server live: chunks" in checked.stdout, checked.stdout
    assert "16 of 16 tokens by usage_at_end" in checked.stdout
    assert "a text was sent" in checked.stdout
    tree.run("archive", check=True, environment=environment)
    tree.run("verify", check=True, environment=environment)
    results = {r["experiment"]: r for r in map(json.loads, (p.read_text() for p in tree.results()))}
    own, attached = results["served_own-server"], results["served_live"]
    codes = {flag["code"] for flag in own["flags"]}
    assert not codes & {"attached", "prefix_cache_unknown"}
    assert {"attached", "prefix_cache_unknown"} <= {flag["code"] for flag in attached["flags"]}
    for result in results.values():
        assert result["tokens"]["output"] == 4 * result["tokens"]["requests"]
    assert attached["environment"]["engine_version"] == "7.1"
    assert own["environment"]["engine_version"].startswith("7.1 (")
    assert attached["settings"]["observed"]["address"] == f"127.0.0.1:{live.port}"
    forms = [result["settings"]["observed"]["prompts_sent_as"] for result in (own, attached)]
    assert forms == ["token_ids", "text"]
    prompts = {body["prompt"] for body in live.requests if "prompt" in body}
    assert all(isinstance(prompt, str) for prompt in prompts)
    assert f"Authorization: Bearer {SECRET}" in live.heads[-1]
    files = [path for path in tree.folder.rglob("*") if path.is_file()]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


WHOLE = {"streams": False, "token_counts": "usage", "request": {}}
"""Keys of a server that gives each answer whole."""


@pytest.mark.long
def test_a_server_that_does_not_stream_is_measured_without_latencies_of_tokens(
    tmp_path, ready_template
):
    with serving(answer_whole) as live:
        tree = ready_template.copy(tmp_path / "tree", campaign(live, WHOLE) | {"cycles": 1})
        environment = {"LIVE_TOKEN": SECRET}
        checked = tree.run("preflight", environment=environment)
        assert "whole, of 16 tokens: no time to first token" in checked.stdout, checked.stdout
        tree.run("report", check=True, environment=environment)
        tree.run("verify", check=True, environment=environment)
        assert {body["stream"] for body in live.requests if "prompt" in body} == {False}
    results = {r["experiment"]: r for r in map(json.loads, (p.read_text() for p in tree.results()))}
    own, whole = (results[name]["latency"] for name in ("served_own-server", "served_live"))
    assert own["time_to_first_token_s"]["p50"] > 0
    assert own["token_latency_reason"] is None
    assert whole["time_to_first_token_s"] is whole["inter_token_latency_s"] is None
    assert whole["token_latency_reason"] == "not_streamed"
    assert whole["end_to_end_s"]["p50"] > 0
    codes = {flag["code"] for flag in results["served_live"]["flags"]}
    assert "not_streamed" in codes
    assert "tokens_share_chunks" not in codes
    tokens = results["served_live"]["tokens"]
    assert tokens["output"] == 4 * tokens["requests"]
    (report,) = (tree.folder / "results").rglob("report.html")
    text = report.read_text()
    assert "not streamed" in text
    assert "The server gives each answer whole" in text


def test_a_server_that_is_gone_is_one_problem_of_preflight(ready, live):
    ready.write_campaign(campaign(live))
    live.close()
    query_fails = ready.run("preflight", environment={"LIVE_TOKEN": SECRET})
    assert query_fails.returncode != 0
    assert "cannot be reached" in query_fails.stdout
    without = ready.run("preflight").stdout
    assert "LIVE_TOKEN is not set, or is empty; set it" in without
    started = ready.run("measurements")
    assert started.returncode != 0
    assert "backends.live.server.token_variable: LIVE_TOKEN is not set" in started.stdout
    assert ready.failures() == []


def test_preflight_names_another_model_and_a_context_that_is_too_short(ready, live):
    changed = campaign(live, {"model_name": "large"})
    changed["defaults"]["context_tokens"] = 5000
    ready.write_campaign(changed)
    checked = ready.run("preflight", environment={"LIVE_TOKEN": SECRET})
    assert checked.returncode != 0
    assert "requests name large, the server lists m" in checked.stdout
    assert "has a context of 4096 tokens, the experiments need 5000" in checked.stdout


@pytest.mark.parametrize(
    ("reason", "end", "words"),
    [
        ("server_unfit", 'exec "$0" "$@"', "set token_counts: token_ids"),
        ("server_not_started", "echo unknown argument: --x >&2; exit 2", "unknown argument: --x"),
    ],
)
def test_a_launched_server_that_cannot_be_measured_costs_one_load(ready, live, reason, end, words):
    """It would cost every one of its measurements the minutes that a large model loads."""
    changed = campaign(live)
    starts = ready.folder / "starts"
    own = changed["backends"]["own-server"]["server"]
    script = f"echo >> {starts}; {end}"
    own |= {"command": ["/bin/sh", "-c", script, *own["command"]], "token_counts": "logprobs"}
    changed |= {"cycles": 3, "backends": {"own-server": {"server": own}}}
    changed["experiments"]["served"]["axes"]["backend"] = ["own-server"]
    ready.write_campaign(changed)
    assert "three requests try it at its first load" in ready.run("preflight").stdout
    done = ready.run("measurements")
    assert done.returncode != 0
    failures = ready.failures()
    assert [failure["reason"] for failure in failures] == [reason] * 3
    assert all(words in failure["message"] for failure in failures)
    assert starts.read_text() == "\n"


def test_after_a_kill_the_launched_server_is_gone_and_the_attached_one_untouched(
    tmp_path, ready_template, live
):
    slow = campaign(live, minimum_duration_s=0.5)
    tree = ready_template.copy(tmp_path / "tree", slow | {"cycles": 50})
    process = tree.start("measurements", environment={"LIVE_TOKEN": SECRET})
    try:
        wait_for(
            lambda: len(finished(tree.output())) >= 2 or process.poll() is not None,
            why=tree.output(),
        )
        assert process.poll() is None, tree.output()
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(PATIENCE_S)
    wait_until_gone(tree.processes)  # the launched server works in the run's folder
    assert listed_models(live.address) == ["m"]
