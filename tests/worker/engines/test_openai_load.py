"""The adapter of servers at their load: what is refused, recorded, and the end of one launched."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import wait_until
from tests.worker.backend import Peer
from tests.worker.engines import reference
from tests.worker.engines.reference import (
    measure,
)
from tests.worker.engines.servers import PROCESS, attached, load, preset
from tests.worker.serving.frames import chunked, refusing
from tests.worker.serving.stand_in import answer_whole, serving, vllm


class TestPresetsOfText:
    """Commands of presets that never ran here, with stand-ins for their programs."""

    def server(self, folder: Path, name: str, program: str, script: str) -> dict[str, Any]:
        """Return the preset, which finds a program in place of its own."""
        path = folder / program
        path.write_text(f"#!/bin/sh\n{script}")
        path.chmod(0o755)
        server = preset(f"{name}/gpu") | {"tokenizer": "sleep"}
        server["variables"] |= {"PATH": f"{folder}:{os.environ['PATH']}"}
        return server

    def test_ollama_makes_a_model_whose_template_adds_nothing(
        self, tmp_path: Path, peer: Peer
    ) -> None:
        connects = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])))"
        script = f"""
            port=${{OLLAMA_HOST##*:}}
            case $1 in
            serve) [ -z "$2" ] || {{ echo "unknown flag: $2" >&2; exit 1; }}
                   exec {sys.executable} {PROCESS} $port ollama ;;
            list) {sys.executable} -c "{connects}" $port ;;
            create) [ $2 = model ] && cp $4 {tmp_path}/made ;;
            esac"""
        server = self.server(tmp_path, "ollama", "ollama", script)
        (model := tmp_path / "m.gguf").touch()
        observed = load(peer, server, model_path=str(model))["observed"]
        assert observed["prompts_sent_as"] == "text"
        assert observed["tokens_counted_by"] == "usage_at_end"
        assert observed["version"] == "7.1"
        wait_until((tmp_path / "made").exists, what="the model is made")
        made = (tmp_path / "made").read_text().splitlines()
        assert made[:2] == [f"FROM {model}", "TEMPLATE {{ .Prompt }}"]
        measured = measure(peer, [[104, 105], [103]], exact_length=False)
        assert [len(request["token_times"]) for request in measured["requests"]] == [7, 7]
        error = load(peer, server, model_path=str(model), options={"parallel": 2})
        assert "unknown flag: --parallel" in error["message"]

    def test_text_generation_inference(self, tmp_path: Path, peer: Peer) -> None:
        script = f"""
            for word; do case $word in --port=*) port=${{word#--port=}} ;; esac; done
            [ "$PREFIX_CACHING" = 0 ] && exec {sys.executable} {PROCESS} $port tgi"""
        name = "text-generation-inference"
        server = self.server(tmp_path, name, "text-generation-launcher", script)
        observed = load(peer, server, model_path=str(tmp_path))["observed"]
        assert observed["model"] == "tgi"
        measured = measure(peer, [[104, 105], [103]], exact_length=False)
        reference.check_every_token_is_counted(measured, 7)


class TestLoad:
    """Findings before anything is measured, against a stand-in that is attached."""

    def test_another_number_of_tokens_is_an_error(self, peer: Peer) -> None:
        def short(body: dict[str, Any]) -> bytes:
            return chunked(vllm({**body, "max_tokens": body["max_tokens"] - 1}))

        with serving(short) as server:
            error = load(peer, attached(server))
        assert error["reason"] == "server_unfit"
        assert "15 tokens came where 16 were requested" in error["message"]

    @pytest.mark.parametrize(
        ("answer", "changes", "words"),
        [
            (answer_whole, {}, "the server does not stream"),
            (lambda body: chunked(vllm(body)), {"token_counts": "logprobs"}, "counts none of 16"),
            (
                lambda _: refusing(401, {"message": "bad key"}),
                {},
                "answered 401 at /v1/completions: bad key",
            ),
            (lambda _: refusing(404, {}), {"model_name": None}, "answered 404 at /v1/models"),
            (lambda _: refusing(200, {"data": []}), {"model_name": None}, "lists no model"),
        ],
    )
    def test_an_unfit_server_is_refused_in_one_line_before_anything_is_measured(
        self, peer: Peer, answer: Any, changes: dict[str, Any], words: str
    ) -> None:
        with serving(answer) as server:
            error = load(peer, attached(server, **changes))
            tried = len(server.requests)
            assert measure(peer, [[1, 2]])["reason"] == "no_engine"
        assert error["reason"] == "server_unfit"
        assert words in error["message"]
        assert "\n" not in error["message"]
        assert len(server.requests) == tried <= 3

    @pytest.mark.parametrize("status", [429, 503])
    def test_a_server_that_is_busy_at_its_load_may_be_tried_again(
        self, peer: Peer, status: int
    ) -> None:
        with serving(lambda _: refusing(status, {"error": {"message": "later"}})) as server:
            assert load(peer, attached(server))["reason"] == "server_overloaded"

    @pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
    def test_a_url_may_be_of_ipv6_and_have_a_path(self, peer: Peer, host: str) -> None:
        with serving(lambda body: chunked(vllm(body)), host=host) as server:
            url = f"http://{server.address.location}/proxy/v1/"
            assert load(peer, attached(server, url=url))["event"] == "loaded"
            head = server.heads[-1]
        assert head.startswith("POST /proxy/v1/completions HTTP/1.1")
        assert f"Host: {server.address.location}\r\n" in head

    def test_a_missing_token_is_an_error_before_anything_is_sent(self, peer: Peer) -> None:
        with serving(lambda body: chunked(vllm(body))) as server:
            error = load(peer, attached(server, token_variable="NO_SUCH_TOKEN"))
        assert "NO_SUCH_TOKEN" in error["message"]
        assert server.requests == []

    def test_a_context_that_is_too_short_is_an_error(self, peer: Peer) -> None:
        def listing(_: dict[str, Any]) -> bytes:
            return refusing(200, {"data": [{"id": "m", "max_model_len": 128}]})

        with serving(listing) as server:
            properties = {"context_tokens": "/v1/models data.0.max_model_len"}
            error = load(peer, attached(server, properties=properties))
        assert error["reason"] == "server_unfit"
        assert "context of 128 tokens" in error["message"]

    def test_metrics_of_its_configuration_are_recorded(self, peer: Peer) -> None:
        metrics = b'mine:cache_info{blocks="512",dtype="fp8"} 1.0\nmine:kv_limit 0.5\n'

        def answer(body: dict[str, Any]) -> bytes:
            return chunked(vllm(body)) if "prompt" in body else refusing(200, metrics)

        properties = {
            "kv_blocks": "/metrics mine:cache_info{blocks}",
            "kv_limit": "/metrics mine:kv_limit{}",
            "unknown": "/metrics mine:cache_info{no_such_label}",
            "version": "/version version",
        }
        with serving(answer) as server:
            observed = load(peer, attached(server, properties=properties))["observed"]
            paths = [head.split()[1] for head in server.heads]
        wanted = {"kv_blocks": 512, "kv_limit": 0.5, "unknown": None, "version": None}
        assert {name: observed[name] for name in properties} == wanted
        assert paths.count("/metrics") == 1

    def test_metrics_that_a_server_does_not_have_are_null(self, peer: Peer) -> None:
        def answer(body: dict[str, Any]) -> bytes:
            return chunked(vllm(body)) if "prompt" in body else refusing(404, b"a 1.0\n")

        with serving(answer) as server:
            observed = load(peer, attached(server, properties={"a": "/metrics a{}"}))
        assert observed["observed"]["a"] is None


class TestLaunched:
    """A stand-in that the engine process starts, and its end."""

    def test_a_server_that_cannot_be_started_is_an_error(self, peer: Peer) -> None:
        error = load(peer, {"command": ["/no/such/server"]})
        assert error["message"] == (
            "the server cannot be started: /no/such/server: No such file or directory"
        )

    @pytest.mark.parametrize("answers", [1, 3, 6])
    def test_a_launched_server_that_ends_later_is_an_error_with_its_words(
        self, peer: Peer, answers: int
    ) -> None:
        """At its load, where it answers three requests, and in a measurement."""
        server = {"command": ["{python}", str(PROCESS), "{port}", "vllm", str(answers)]}
        error = load(peer, {**server, "exact_length": {"a": 1}, "token_counts": "token_ids"})
        if answers >= 3:
            assert error["event"] == "loaded"
            error = measure(peer, [[1, 2]], mode="closed", minimum_waves=9)
        assert error["reason"] == "server_ended"
        assert "the server ended with exit code 1: enough (" in error["message"]

    def test_another_server_on_the_port_of_a_launched_one_is_not_measured(self, peer: Peer) -> None:
        """The stand-in takes the port and lives on, where a user's server would find it taken."""
        script = '"$0" "$1" "$2" vllm & sleep 1; exit 1'
        command = ["/bin/sh", "-c", script, "{python}", str(PROCESS), "{port}"]
        fields = {"exact_length": {"a": 1}, "token_counts": "token_ids"}
        answers = [load(peer, {"command": command, **fields})]

        def has_ended() -> bool:
            if answers[-1]["event"] != "error":
                answers.append(measure(peer, [[1, 2]]))
            return "error" in answers[-1]["event"]

        wait_until(has_ended, what="the end is noticed")
        error = answers[-1]  # not yet listened, where the machine is slow
        assert error["reason"] in ("server_ended", "server_not_started")
        assert "the server ended with exit code 1" in error["message"]

    def test_a_server_that_exits_at_once_has_not_started_and_its_words_say_why(
        self, peer: Peer
    ) -> None:
        error = load(peer, {"command": ["{python}", "-c", "raise SystemExit('no such model')"]})
        assert error["reason"] == "server_not_started"
        assert "exit code 1 before it was ready: no such model" in error["message"]

    def test_a_server_that_a_signal_ends_may_start_another_time(self, peer: Peer) -> None:
        error = load(peer, {"command": ["/bin/sh", "-c", "kill -9 $$"]})
        assert error["reason"] == "server_ended"
        assert "was ended by signal 9 before it was ready" in error["message"]

    def test_a_server_that_finds_its_port_taken_may_start_another_time(self, peer: Peer) -> None:
        """Its child listens on the port before the server exits."""
        taken = (
            "import http.server as h, os, sys\n"
            "h.BaseHTTPRequestHandler.log_message = lambda *_: None\n"
            "s = h.HTTPServer(('127.0.0.1', int(sys.argv[1])), h.BaseHTTPRequestHandler)\n"
            "os.fork() or s.serve_forever()\n"
            "sys.exit('address already in use')"
        )
        error = load(peer, {"command": ["{python}", "-c", taken, "{port}"]})
        assert error["reason"] == "server_ended"
        assert "before it was ready: address already in use" in error["message"]
