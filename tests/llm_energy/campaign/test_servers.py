"""Servers in a campaign: ready ones, those of the user, and those that run already."""

from pathlib import Path
from typing import Any

import pytest
from tests.llm_energy.make_servers import ATTACHED, LAUNCHED, PINNED, ROOT, campaign

from llm_energy.campaign import server_checks
from llm_energy.campaign.engine_options import available_servers
from llm_energy.campaign.problems import CampaignError
from llm_energy.campaign.server_settings import Launch, PresetError, read_preset
from llm_energy.inputs.recipes import campaign_recipes
from llm_energy.measurement.job import ExperimentRecord
from llm_energy.preflight.fit import options_of
from llm_energy.preflight.memory_estimate import UnknownFormatError
from worker.serving import dialect

WHOLE = {"streams": False, "token_counts": "usage"}


def faults(backend: dict[str, Any], **changes: Any) -> list[str]:
    with pytest.raises(CampaignError) as error:
        campaign(backend, **changes)
    return error.value.messages


@pytest.mark.parametrize("file", sorted(ROOT.glob("envs/**/server.yaml")), ids=str)
def test_every_ready_server_can_be_read(file: Path) -> None:
    server = read_preset(file.parent)
    assert isinstance(server, Launch)
    assert {"Dockerfile"} <= {path.name for path in file.parent.iterdir()} or server.environment


def test_there_are_ready_servers() -> None:
    assert available_servers(ROOT) == [
        "llamacpp-server",
        "ollama",
        "sglang",
        "tensorrt-server",
        "text-generation-inference",
        "vllm-server",
    ]


def test_a_ready_server_reaches_its_engine_process() -> None:
    made = campaign(
        {}, name="llamacpp-server", settings={"engine": {"llamacpp-server": {"threads": 2}}}
    )
    (experiment,) = made.experiments
    record = ExperimentRecord.of(made, experiment)
    assert record.engine.adapter == "openai"
    assert record.engine.options == {"threads": 2}
    assert record.engine.server is not None
    assert record.engine.server.token_counts == "llama_cpp"
    assert experiment.adapter == experiment.environment.name == "llamacpp"
    recipes = campaign_recipes(made, ROOT)
    assert [recipe.backend for recipe in recipes.prompts.values()] == ["llamacpp"]


def test_a_server_identifies_its_experiment() -> None:
    first = campaign({"server": LAUNCHED, "environment": PINNED}).experiments[0]
    changes = [{"request": {"a": 1}}, {"command": ["mine", "--port={port}", "-v"]}]
    others = [
        campaign({"server": LAUNCHED | change, "environment": PINNED}).experiments[0]
        for change in changes
    ]
    assert len({e.spec_hash for e in [first, *others]}) == 3
    assert len({e.engine_key for e in [first, *others]}) == 3
    for same in ({"stall_s": 5.0}, {"streams": True}):
        again = {"server": LAUNCHED | same, "environment": PINNED}
        assert campaign(again).experiments[0].spec_hash == first.spec_hash
    counted = {"server": LAUNCHED | {"token_counts": "usage"}, "environment": PINNED}
    whole = {"server": {**LAUNCHED, **WHOLE}, "environment": PINNED}
    waves = [campaign(one, settings={"load_mode": "waves"}) for one in (counted, whole)]
    assert len({made.experiments[0].spec_hash for made in waves}) == 2


def test_ways_to_count_whole_answers_are_those_of_the_client() -> None:
    assert server_checks.WHOLE_COUNTS == dialect.WHOLE_COUNTS


def test_an_attached_server_is_reached_from_its_tokenizers_environment() -> None:
    made = campaign({"server": ATTACHED | {"token_variable": "LIVE_TOKEN"}})
    (experiment,) = made.experiments
    assert experiment.environment.name == "llamacpp"
    assert ExperimentRecord.of(made, experiment).engine.attached
    assert "LIVE_TOKEN" not in repr(experiment.spec)


@pytest.mark.parametrize(
    ("backend", "changes", "words"),
    [
        ({"server": {"tokenizer": "llamacpp"}}, {}, "needs the key command or the key url"),
        ({"server": LAUNCHED}, {}, "needs an environment of yours"),
        ({"server": ATTACHED | {"tokenizer": "none"}}, {}, "tokenizer: unknown adapter"),
        ({"server": ATTACHED | {"tokenizer": "vllm-server"}}, {}, "known: llamacpp, openvino"),
        ({"server": ATTACHED, "runtime": "docker"}, {}, "a container has no network"),
        ({"server": ATTACHED | {"token_variable": "HF_TOKEN"}}, {}, "are not passed on"),
        (
            {"server": ATTACHED | {"properties": {"version": "version version"}}},
            {},
            "server.properties.version: must begin with the path",
        ),
        ({"server": ATTACHED | {"url": "localhost:80"}}, {}, "must begin with http:// or https://"),
        (
            {"server": ATTACHED | {"url": "http://localhost:99999"}},
            {},
            "must have a host and",
        ),
        (
            {"server": ATTACHED | {"url": "http://localhost:80a1"}},
            {},
            "must have a host and",
        ),
        ({"server": ATTACHED | {"url": "http://:8000"}}, {}, "must have a host and"),
        ({"server": ATTACHED | {"url": "http://[::1"}}, {}, "must have a host and"),
        (
            {"server": ATTACHED | {"url": "http://localhost:80/v1/completions"}},
            {},
            "server.url: must be that of a server, like http",
        ),
        (
            {"server": ATTACHED | {"url": "http://me:secret@localhost"}},
            {},
            "server.url: must be that of a server, like http",
        ),
        (
            {"server": LAUNCHED | {"command": ["mine", "--port=8000"]}, "environment": PINNED},
            {},
            "server.command: has no {port}",
        ),
        (
            {"server": ATTACHED},
            {"settings": {"engine": {"mine": {"threads": 1}}}},
            "was started with its arguments",
        ),
        (
            {"server": LAUNCHED, "environment": PINNED},
            {"settings": {"engine": {"mine": {"port": 1}}}},
            "is part of the command of mine",
        ),
        (
            {"server": LAUNCHED, "environment": PINNED},
            {"settings": {"engine": {"mine": {"no_port": True}}}},
            "is part of the command of mine",
        ),
        ({"server": LAUNCHED, "environment": PINNED}, {"settings": {"dtype": "fp4"}}, "no dtype"),
        (
            {"server": ATTACHED | {"ca_file": "ca.pem"}},
            {},
            "ca_file: is for a url that begins with https; remove it",
        ),
        (
            {"server": ATTACHED | {"url": "https://localhost", "ca_file": "/no/ca.pem"}},
            {},
            "ca_file: /no/ca.pem: no such file",
        ),
        (
            {"server": ATTACHED | {"token_counts": "retokenised"}},
            {},
            "which proves no exact length; set output_length: natural",
        ),
        (
            {"server": ATTACHED | {"streams": False}},
            {"settings": {"load_mode": "waves"}},
            "token_counts: chunks counts in a stream, and streams is false; set usage or "
            "retokenised",
        ),
        (
            {"server": ATTACHED | WHOLE},
            {"settings": {"load_mode": "closed"}},
            "mine does not stream, so the tokens of a window's edges have no times; set "
            "load_mode: waves",
        ),
        (
            {"server": ATTACHED | WHOLE},
            {
                "settings": {"load_mode": "open", "request_rate": 20.0},
                "slo": {"time_to_first_token_ms": 100.0},
            },
            "set load_mode: waves",
        ),
        (
            {"server": ATTACHED | {"prompt": "chat"}},
            {},
            "wraps prompts in its own chat template; take a set with `chat_template: false`",
        ),
        (
            {"server": {**ATTACHED, "exact_length": {}}},
            {},
            "declares no exact_length, so its answers may end earlier",
        ),
    ],
)
def test_a_mistake_is_one_line(backend: dict[str, Any], changes: Any, words: str) -> None:
    (message,) = faults(backend, **changes)
    assert words in message


def test_texts_are_not_for_prompts_that_a_trace_cuts(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    line = '{{"timestamp": {}, "input_length": 10, "output_length": 5, "hash_ids": []}}\n'
    trace.write_text("".join(line.format(1000 * number) for number in range(20)))
    settings = {
        "load_mode": "open",
        "arrivals": {"process": "trace", "lengths": "trace"},
        "trace": "t",
    }
    traces = {"t": {"file": str(trace)}}
    messages = faults({"server": ATTACHED | {"prompt": "text"}}, settings=settings, traces=traces)
    assert any("prompts of a trace's lengths are cut as token ids" in m for m in messages), messages


def memory_of(backend: dict[str, Any], name: str = "mine", **arguments: Any) -> Any:
    """Return the options that preflight's estimate takes, or why there is no estimate."""
    made = campaign(backend, name=name, settings={"engine": {name: arguments}} if arguments else {})
    try:
        return options_of(made.experiments[0])
    except UnknownFormatError as error:
        return str(error)


def test_the_estimate_of_memory_knows_arguments_that_mean_an_option() -> None:
    roomy = {
        "command": ["mine", "--port={port}", "--context={context_tokens}", "--slots={slots}"],
        "memory": {"tensor_parallel": "tp", "kv_cache_type": "kv=f16", "kv_cache_gib": 2},
    }
    backend = {"server": LAUNCHED | roomy, "environment": PINNED}
    assert memory_of(backend) == {"kv_cache_type": "f16", "kv_cache_gib": 2}
    assert memory_of(backend, tp=4, kv="q8_0") == {
        "tensor_parallel": 4,
        "kv_cache_type": "q8_0",
        "kv_cache_gib": 2,
    }
    assert memory_of(backend, swap=1) == "its argument --swap may change it (server.memory)"


def test_without_knowledge_of_a_servers_memory_there_is_no_estimate() -> None:
    assert "has neither {context_tokens} and {slots}" in memory_of(
        {"server": LAUNCHED, "environment": PINNED}
    )
    assert memory_of({"server": ATTACHED}) == "the server runs already, with settings of its own"


@pytest.mark.parametrize("file", sorted(ROOT.glob("envs/**/server.yaml")), ids=str)
def test_every_ready_server_says_what_decides_its_memory(file: Path) -> None:
    server = read_preset(file.parent)
    assert server is not None
    assert server.memory
    words = " ".join([*server.command, *server.variables.values()])
    assert "{slots}" in words or "{total_context_tokens}" in words


def test_natural_lengths_are_for_servers_and_another_experiment() -> None:
    exact = campaign({"server": ATTACHED}).experiments[0]
    natural = campaign({"server": ATTACHED}, settings={"output_length": "natural"}).experiments[0]
    assert "output_length" not in exact.spec["settings"]
    assert natural.spec["settings"]["output_length"] == "natural"
    assert natural.engine_key == exact.engine_key
    (message,) = faults({}, name="llamacpp", settings={"output_length": "natural"})
    assert "llamacpp generates exactly `output_tokens`; natural is for servers" in message


def test_a_server_for_gpus_is_refused_on_a_cpu() -> None:
    (message,) = faults({}, name="sglang")
    assert message.endswith("is a server for GPUs only (envs/sglang/gpu)")


def test_a_broken_file_of_a_server_is_named_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "server.yaml").write_text("command: [x]\ntokeniser: llamacpp\n")
    with pytest.raises(PresetError, match=r"server\.yaml: tokenizer: Field required"):
        read_preset(tmp_path)
    (tmp_path / "server.yaml").write_text("a: [")
    with pytest.raises(PresetError, match="no YAML"):
        read_preset(tmp_path)
