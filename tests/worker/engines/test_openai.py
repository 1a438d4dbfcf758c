"""The adapter of servers: real ones that are launched, and a stand-in that is attached."""

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.waiting import wait_until
from tests.worker.backend import ROOT, Backend, Peer, group_members
from tests.worker.engines import reference
from tests.worker.engines.conftest import Engines, supervise
from tests.worker.engines.conftest import supervisor as supervisor_of
from tests.worker.engines.reference import (
    ANSWER_IDS,
    GRAVITY_IDS,
    QUESTION_IDS,
    measure,
    outputs,
)
from tests.worker.serving.stand_in import (
    BARE,
    StandIn,
    answer_whole,
    chunked,
    refusing,
    serving,
    vllm,
)

from worker.workload import ServerConfig

FIELDS = asdict(ServerConfig())
PROCESS = ROOT / "tests/worker/serving/stand_in_process.py"


def preset(name: str) -> dict[str, Any]:
    """Return the server that envs/NAME declares, as an engine process gets it."""
    declared = yaml.safe_load((ROOT / "envs" / name / "server.yaml").read_text())
    return {key: value for key, value in declared.items() if key in FIELDS}


def attached(server: StandIn, **changes: Any) -> dict[str, Any]:
    fields = {"url": f"http://127.0.0.1:{server.port}", "token_counts": "token_ids"}
    return fields | {"exact_length": {"ignore_eos": True}, "model_name": "m"} | changes


def load(peer: Peer | Engines, server: dict[str, Any], **changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {"model_path": "/nowhere", "dtype": "auto", "context_tokens": 256}
    fields |= {"backend": "some-server", "slots": 4, "server": server} | changes
    loaded: dict[str, Any] = peer.load(key=repr(changes), **fields)
    return loaded


@pytest.fixture
def supervisor(short_folder: Path) -> Iterator[Peer]:
    backend = Backend(short_folder, scripts=ROOT / "scripts", python=sys.executable)
    peer = backend.connect()
    yield peer
    peer.close()
    backend.stop()


@pytest.fixture(scope="module")
def llamacpp_server(llamacpp_python: str) -> Iterator[Engines]:
    yield from supervise(llamacpp_python)


@pytest.fixture(scope="module")
def vllm_server(vllm_server_python: str) -> Iterator[Engines]:
    yield from supervise(vllm_server_python)


class TestAttached:
    """Against a stand-in: no engine is needed."""

    def test_measures_waves_and_a_constant_stream(self, supervisor: Peer) -> None:
        with serving(lambda body: chunked(vllm(body))) as server:
            observed = load(supervisor, attached(server))["observed"]
            waves = measure(supervisor, [[1, 2], [3, 4, 5]])
            stream = measure(supervisor, [[1, 2], [3, 4, 5]], mode="closed", minimum_waves=2)
        assert observed["server"] == "attached"
        assert observed["address"] == f"127.0.0.1:{server.port}"
        reference.check_every_token_is_counted(waves, 7)
        assert outputs(waves)[0] == list(range(100, 107))
        assert stream["event"] == "measured"

    def test_tokens_of_answers_that_come_whole_have_the_time_of_their_end(
        self, supervisor: Peer
    ) -> None:
        with serving(answer_whole) as server:
            whole = attached(server, streams=False, token_counts="usage")
            observed = load(supervisor, whole)["observed"]
            measured = measure(supervisor, [[1, 2], [3, 4, 5]])
        assert observed["tokens_counted_by"] == "usage"
        assert not any(body["stream"] for body in server.requests if "prompt" in body)
        requests = measured["requests"]
        assert {len(request["token_times"]) for request in requests} == {7}
        assert {len(set(request["token_times"])) for request in requests} == {1}
        assert max(r["token_times"][-1] for r in requests) == measured["window"]["end"]
        assert {request["counted"] for request in requests} == {7}

    def test_another_length_of_an_answer_that_comes_whole_is_an_error(
        self, supervisor: Peer
    ) -> None:
        def short(body: dict[str, Any]) -> bytes:
            if "max_tokens" not in body:
                return answer_whole(body)
            return answer_whole({**body, "max_tokens": body["max_tokens"] // 2 * 2})

        with serving(short) as server:
            load(supervisor, attached(server, streams=False, token_counts="usage"))
            error = measure(supervisor, [[1, 2]])
        assert error["message"] == "prompt 0: the engine produced 6 tokens instead of 7"

    def test_requests_that_arrive_at_a_rate_end_each_for_itself(self, supervisor: Peer) -> None:
        served = 0

        def now_and_then(body: dict[str, Any]) -> bytes:
            nonlocal served
            served += 1
            if served > 8 and served % 4 == 0:
                return refusing(429, {"error": {"message": "slow down"}})
            return chunked(vllm(body))

        arrivals = {"process": "poisson", "rate": 40.0}
        with serving(now_and_then) as server:
            load(supervisor, attached(server))
            measured = measure(
                supervisor, [[1, 2], [3]], mode="open", arrivals=arrivals, minimum_duration_s=1.0
            )
        requests = measured["requests"]
        failed = [request for request in requests if request["fault"]]
        assert {request["fault"] for request in failed} == {"the server answered 429: slow down"}
        assert 0 < len(failed) < len(requests) / 2
        whole = [request for request in requests if not request["fault"]]
        assert all(len(request["token_times"]) == 7 for request in whole)

    def test_another_number_of_tokens_is_an_error(self, supervisor: Peer) -> None:
        def short(body: dict[str, Any]) -> bytes:
            return chunked(vllm({**body, "max_tokens": body["max_tokens"] - 1}))

        with serving(short) as server:
            error = load(supervisor, attached(server))
        assert error["reason"] == "server_unfit"
        assert "15 tokens came where 16 were requested" in error["message"]

    def test_a_length_that_is_not_kept_later_is_an_error_too(self, supervisor: Peer) -> None:
        def short(body: dict[str, Any]) -> bytes:
            return chunked(
                vllm({**body, "max_tokens": body["max_tokens"] - body["max_tokens"] % 2})
            )

        with serving(short) as server:
            load(supervisor, attached(server))
            error = measure(supervisor, [[1, 2]])
        assert error["reason"] == "engine_error"
        assert error["message"] == "prompt 0: the engine produced 6 tokens instead of 7"

    def test_answers_may_end_by_themselves_where_the_load_says_so(self, supervisor: Peer) -> None:
        def natural(body: dict[str, Any]) -> bytes:
            ends = "ignore_eos" not in body
            return chunked(vllm({**body, "max_tokens": 5 if ends else body["max_tokens"]}))

        with serving(natural) as server:
            load(supervisor, attached(server))
            measured = measure(supervisor, [[1, 2], [3]], exact_length=False)
            exact = measure(supervisor, [[1, 2], [3]])
        assert [request["counted"] for request in measured["requests"]] == [5, 5]
        assert measured["warmup"]["throughput"][0] > 0
        assert [request["counted"] for request in exact["requests"]] == [7, 7]

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (refusing(429, {"error": {"message": "slow down"}}), "server_overloaded"),
            (refusing(500, {"error": {"message": "CUDA out of memory"}}), "out_of_memory"),
            (b"", "server_closed"),
        ],
    )
    def test_a_fault_is_reported_by_its_reason(
        self, supervisor: Peer, answer: bytes, reason: str
    ) -> None:
        tried = [chunked(vllm({"prompt": range(64), "max_tokens": 16}))] * 3
        answers = iter([*tried, *[answer] * 10])
        with serving(lambda _: next(answers), close_after=1) as server:
            load(supervisor, attached(server))
            assert measure(supervisor, [[1, 2]])["reason"] == reason

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
        self, supervisor: Peer, answer: Any, changes: dict[str, Any], words: str
    ) -> None:
        with serving(answer) as server:
            error = load(supervisor, attached(server, **changes))
            tried = len(server.requests)
            assert measure(supervisor, [[1, 2]])["reason"] == "no_engine"
        assert error["reason"] == "server_unfit"
        assert words in error["message"]
        assert "\n" not in error["message"]
        assert len(server.requests) == tried <= 3

    @pytest.mark.parametrize("status", [429, 503])
    def test_a_server_that_is_busy_at_its_load_may_be_tried_again(
        self, supervisor: Peer, status: int
    ) -> None:
        with serving(lambda _: refusing(status, {"error": {"message": "later"}})) as server:
            assert load(supervisor, attached(server))["reason"] == "server_overloaded"

    @pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
    def test_a_url_may_be_of_ipv6_and_have_a_path(self, supervisor: Peer, host: str) -> None:
        with serving(lambda body: chunked(vllm(body)), host=host) as server:
            url = f"http://{server.address.location}/proxy/v1/"
            assert load(supervisor, attached(server, url=url))["event"] == "loaded"
            head = server.heads[-1]
        assert head.startswith("POST /proxy/v1/completions HTTP/1.1")
        assert f"Host: {server.address.location}\r\n" in head

    def test_a_missing_token_is_an_error_before_anything_is_sent(self, supervisor: Peer) -> None:
        with serving(lambda body: chunked(vllm(body))) as server:
            error = load(supervisor, attached(server, token_variable="NO_SUCH_TOKEN"))
        assert "NO_SUCH_TOKEN" in error["message"]
        assert server.requests == []

    def test_a_context_that_is_too_short_is_an_error(self, supervisor: Peer) -> None:
        def listing(_: dict[str, Any]) -> bytes:
            return refusing(200, {"data": [{"id": "m", "max_model_len": 128}]})

        with serving(listing) as server:
            properties = {"context_tokens": "/v1/models data.0.max_model_len"}
            error = load(supervisor, attached(server, properties=properties))
        assert error["reason"] == "server_unfit"
        assert "context of 128 tokens" in error["message"]

    def test_metrics_of_its_configuration_are_recorded(self, supervisor: Peer) -> None:
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
            observed = load(supervisor, attached(server, properties=properties))["observed"]
            paths = [head.split()[1] for head in server.heads]
        wanted = {"kv_blocks": 512, "kv_limit": 0.5, "unknown": None, "version": None}
        assert {name: observed[name] for name in properties} == wanted
        assert paths.count("/metrics") == 1

    def test_metrics_that_a_server_does_not_have_are_null(self, supervisor: Peer) -> None:
        def answer(body: dict[str, Any]) -> bytes:
            return chunked(vllm(body)) if "prompt" in body else refusing(404, b"a 1.0\n")

        with serving(answer) as server:
            observed = load(supervisor, attached(server, properties={"a": "/metrics a{}"}))
        assert observed["observed"]["a"] is None

    def test_a_server_that_cannot_be_started_is_an_error(self, supervisor: Peer) -> None:
        error = load(supervisor, {"command": ["/no/such/server"]})
        assert error["message"] == (
            "the server cannot be started: /no/such/server: No such file or directory"
        )

    @pytest.mark.parametrize("answers", [1, 3, 6])
    def test_a_launched_server_that_ends_later_is_an_error_with_its_words(
        self, supervisor: Peer, answers: int
    ) -> None:
        """At its load, where it answers three requests, and in a measurement."""
        server = {"command": ["{python}", str(PROCESS), "{port}", "vllm", str(answers)]}
        error = load(supervisor, {**server, "exact_length": {"a": 1}, "token_counts": "token_ids"})
        if answers >= 3:
            assert error["event"] == "loaded"
            error = measure(supervisor, [[1, 2]], mode="closed", minimum_waves=9)
        assert error["reason"] == "server_ended"
        assert "the server ended with exit code 1: enough (" in error["message"]

    def test_another_server_on_the_port_of_a_launched_one_is_not_measured(
        self, supervisor: Peer
    ) -> None:
        """The stand-in takes the port and lives on, where a user's server would find it taken."""
        script = '"$0" "$1" "$2" vllm & sleep 1; exit 1'
        command = ["/bin/sh", "-c", script, "{python}", str(PROCESS), "{port}"]
        fields = {"exact_length": {"a": 1}, "token_counts": "token_ids"}
        answers = [load(supervisor, {"command": command, **fields})]

        def has_ended() -> bool:
            if answers[-1]["event"] != "error":
                answers.append(measure(supervisor, [[1, 2]]))
            return "error" in answers[-1]["event"]

        wait_until(has_ended, what="the end is noticed")
        error = answers[-1]
        assert error["reason"] == "server_ended"
        assert "the server ended with exit code 1" in error["message"]

    def test_a_server_that_ends_at_once_is_an_error_with_its_words(self, supervisor: Peer) -> None:
        error = load(
            supervisor, {"command": ["{python}", "-c", "raise SystemExit('no such model')"]}
        )
        assert error["reason"] == "server_ended"
        assert "exit code 1 before it was ready: no such model" in error["message"]


class TestPresetsOfText:
    """Commands of presets that never ran here, with stand-ins for their programs."""

    @pytest.fixture
    def sleeping(self, short_folder: Path, scripts_with_sleep: Path) -> Iterator[Peer]:
        backend = Backend(short_folder, scripts=scripts_with_sleep, python=sys.executable)
        peer = backend.connect()
        yield peer
        peer.close()
        backend.stop()

    def server(self, folder: Path, name: str, program: str, script: str) -> dict[str, Any]:
        """Return the preset, which finds a program in place of its own."""
        path = folder / program
        path.write_text(f"#!/bin/sh\n{script}")
        path.chmod(0o755)
        server = preset(f"{name}/gpu") | {"tokenizer": "sleep"}
        server["variables"] |= {"PATH": f"{folder}:{os.environ['PATH']}"}
        return server

    def test_ollama_makes_a_model_whose_template_adds_nothing(
        self, tmp_path: Path, sleeping: Peer
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
        observed = load(sleeping, server, model_path=str(model))["observed"]
        assert observed["prompts_sent_as"] == "text"
        assert observed["tokens_counted_by"] == "usage_at_end"
        assert observed["version"] == "7.1"
        wait_until((tmp_path / "made").exists, what="the model is made")
        made = (tmp_path / "made").read_text().splitlines()
        assert made[:2] == [f"FROM {model}", "TEMPLATE {{ .Prompt }}"]
        measured = measure(sleeping, [[104, 105], [103]], exact_length=False)
        assert [len(request["token_times"]) for request in measured["requests"]] == [7, 7]
        error = load(sleeping, server, model_path=str(model), options={"parallel": 2})
        assert "unknown flag: --parallel" in error["message"]

    def test_text_generation_inference(self, tmp_path: Path, sleeping: Peer) -> None:
        script = f"""
            for word; do case $word in --port=*) port=${{word#--port=}} ;; esac; done
            [ "$PREFIX_CACHING" = 0 ] && exec {sys.executable} {PROCESS} $port tgi"""
        name = "text-generation-inference"
        server = self.server(tmp_path, name, "text-generation-launcher", script)
        observed = load(sleeping, server, model_path=str(tmp_path))["observed"]
        assert observed["model"] == "tgi"
        measured = measure(sleeping, [[104, 105], [103]], exact_length=False)
        reference.check_every_token_is_counted(measured, 7)


@pytest.mark.engine
def test_tokens_are_counted_in_the_text_of_a_server_that_tells_nothing(
    pytorch_python: str, hf_folder: Path
) -> None:
    """With the real tokenizer of a model: for the prompts, and for the answers."""
    answer, _ = BARE
    changes = {"tokenizer": "pytorch", "prompt": "text", "token_counts": "retokenised"}
    with supervisor_of(pytorch_python) as peer, serving(lambda b: chunked(answer(b))) as server:
        load(peer, attached(server, **changes, exact_length={}), model_path=str(hf_folder))
        measured = measure(peer, [QUESTION_IDS, GRAVITY_IDS], exact_length=False)
        sent = {body["prompt"] for body in server.requests[3:]}
    assert any(text.startswith("<|im_start|>") and "\n" in text for text in sent)
    assert len(sent) == 2
    # Three chunks with text: Paris, is é, 🎉 the.
    (count,) = {len(request["token_times"]) for request in measured["requests"]}
    assert count > 3
    moments = [len(set(request["token_times"])) for request in measured["requests"]]
    assert moments == [3, 3]


@pytest.mark.engine
def test_answers_that_come_whole_are_counted_in_their_text_from_the_first_wave_on(
    pytorch_python: str, hf_folder: Path
) -> None:
    """A warm-up that was counted in answers would be no course with a window in tokens."""

    def answer(_: dict[str, Any]) -> bytes:
        return refusing(200, {"choices": [{"text": "Paris is é", "finish_reason": "stop"}]})

    changes = {"tokenizer": "pytorch", "prompt": "text", "token_counts": "retokenised"}
    whole = {**changes, "streams": False, "exact_length": {}}
    with supervisor_of(pytorch_python) as peer, serving(answer) as server:
        load(peer, attached(server, **whole), model_path=str(hf_folder))
        measured = measure(peer, [QUESTION_IDS], exact_length=False)
    (count,) = {len(request["token_times"]) for request in measured["requests"]}
    assert count > 1
    assert {len(set(request["token_times"])) for request in measured["requests"]} == {1}
    warmup = measured["warmup"]
    first_wave_tokens = warmup["throughput"][0] * warmup["first_wave_s"]
    assert first_wave_tokens == pytest.approx(count)


@pytest.mark.engine
class TestLlamaCpp:
    """llama.cpp's own HTTP server, launched."""

    @pytest.fixture
    def loaded(self, llamacpp_server: Engines, gguf: str) -> dict[str, Any]:
        return load(llamacpp_server, preset("llamacpp-server"), model_path=gguf)

    def test_tells_of_itself(self, loaded: dict[str, Any]) -> None:
        observed = loaded["observed"]
        assert observed["server"] == "launched"
        assert observed["context_tokens"] == 256
        assert observed["slots"] == 4
        assert observed["tokens_counted_by"] == "llama_cpp"
        assert loaded["engine_version"] == observed["version"]

    @pytest.mark.usefixtures("loaded")
    def test_says_what_the_model_says_alone_and_in_a_batch(self, llamacpp_server: Engines) -> None:
        prompts = [QUESTION_IDS, GRAVITY_IDS, QUESTION_IDS, GRAVITY_IDS]
        assert outputs(measure(llamacpp_server, prompts))[0] == ANSWER_IDS
        measured = measure(llamacpp_server, [QUESTION_IDS], output_tokens=32)
        reference.check_every_token_is_counted(measured, 32)
        assert outputs(measured)[0][:7] == ANSWER_IDS

    @pytest.mark.usefixtures("loaded")
    def test_a_constant_stream(self, llamacpp_server: Engines) -> None:
        measured = measure(
            llamacpp_server, [QUESTION_IDS, GRAVITY_IDS], mode="closed", minimum_waves=2
        )
        reference.check_slots_are_busy(measured, 2)

    @pytest.mark.usefixtures("loaded")
    def test_requests_that_arrive_at_a_rate(self, llamacpp_server: Engines) -> None:
        reference.check_open_load(llamacpp_server)

    def test_texts_in_place_of_token_ids_give_the_same_answer(
        self, llamacpp_server: Engines, gguf: str
    ) -> None:
        server = preset("llamacpp-server") | {"prompt": "text"}
        observed = load(llamacpp_server, server, model_path=gguf, seed=1)["observed"]
        assert observed["prompts_sent_as"] == "text"
        measured = measure(llamacpp_server, [QUESTION_IDS, GRAVITY_IDS])
        assert outputs(measured)[0] == ANSWER_IDS

    def test_answers_as_a_whole_have_as_many_tokens(
        self, llamacpp_server: Engines, gguf: str
    ) -> None:
        server = preset("llamacpp-server") | {"streams": False, "token_counts": "usage"}
        load(llamacpp_server, server, model_path=gguf, seed=3)
        requests = measure(llamacpp_server, [QUESTION_IDS, GRAVITY_IDS])["requests"]
        assert {len(request["token_times"]) for request in requests} == {7}
        assert {len(set(request["token_times"])) for request in requests} == {1}

    def test_a_chat_gets_the_template_of_its_server(
        self, llamacpp_server: Engines, gguf: str
    ) -> None:
        server = preset("llamacpp-server") | {"prompt": "chat"}
        observed = load(llamacpp_server, server, model_path=gguf, seed=2)["observed"]
        assert observed["chat_template_tokens"] > 0
        reference.check_every_token_is_counted(measure(llamacpp_server, [GRAVITY_IDS]), 7)

    def test_arguments_reach_the_command(self, llamacpp_server: Engines, gguf: str) -> None:
        server = preset("llamacpp-server")
        error = load(llamacpp_server, server, model_path=gguf, options={"cache-type": "q5_9"})
        assert error["reason"] == "server_ended"
        assert "invalid choice: 'q5_9'" in error["message"]

    def test_ends_with_its_engine_process(
        self, llamacpp_server: Engines, gguf: str, loaded: dict[str, Any]
    ) -> None:
        group = loaded["engine_pid"]
        children = [pid for pid in group_members(group) if pid != group]
        assert len(children) >= 2  # the guard, and the server
        os.kill(group, signal.SIGKILL)
        wait_until(lambda: not group_members(group), what="the server is gone")
        assert load(llamacpp_server, preset("llamacpp-server"), model_path=gguf)["reused"] is False


@pytest.mark.engine
@pytest.mark.long
class TestVllm:
    """vLLM's own server, launched; another test speaks its dialect on every commit."""

    @pytest.fixture
    def loaded(self, vllm_server: Engines, hf_folder: Path) -> dict[str, Any]:
        server = preset("vllm-server")
        return load(vllm_server, server, model_path=str(hf_folder), dtype="float32")

    def test_tells_of_itself(self, loaded: dict[str, Any]) -> None:
        assert loaded["observed"]["context_tokens"] == 256
        assert loaded["observed"]["version"].startswith("0.")
        assert loaded["observed"]["kv_block_tokens"] > 0
        assert loaded["observed"]["kv_blocks"] > 0
        assert loaded["observed"]["prefix_caching"] is False

    @pytest.mark.usefixtures("loaded")
    def test_says_what_the_model_says_alone_and_in_a_batch(self, vllm_server: Engines) -> None:
        prompts = [QUESTION_IDS, GRAVITY_IDS, QUESTION_IDS, GRAVITY_IDS]
        assert outputs(measure(vllm_server, prompts))[0] == ANSWER_IDS
        measured = measure(vllm_server, [QUESTION_IDS], output_tokens=32)
        reference.check_every_token_is_counted(measured, 32)

    @pytest.mark.usefixtures("loaded")
    def test_a_constant_stream(self, vllm_server: Engines) -> None:
        prompts = [QUESTION_IDS, GRAVITY_IDS]
        measured = measure(vllm_server, prompts, mode="closed", minimum_waves=2)
        reference.check_slots_are_busy(measured, 2)
