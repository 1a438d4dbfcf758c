"""Servers as engines: what they leave unknown is flagged, and has a reason."""

from pathlib import Path
from typing import Any

import pytest
from tests.llm_energy.make_servers import ATTACHED, campaign

from llm_energy.backends.runtime import ReadyEnvironment
from llm_energy.inputs.models import VerifiedModel
from llm_energy.measurement.job import ExperimentRecord, FixedPrompts, Job, Observation
from llm_energy.measurement.served import engine_version, flags, reason_without_energy
from llm_energy.measurement.window import chunk_gaps

NATURAL = {"output_length": "natural"}


def job(server: dict[str, Any], **changes: Any) -> Job:
    made = campaign({"server": ATTACHED | server}, **changes)
    return Job(ExperimentRecord.of(made, made.experiments[0]), 1, 0, 1, "r.json")


def seen(**observed: Any) -> Observation:
    return Observation(
        started="now",
        environment=ReadyEnvironment("python", "3", "1.0", {}, "0" * 64),
        model=VerifiedModel(Path("m"), (Path("m"),), format="gguf", sha256="0" * 64, identity={}),
        prompts=FixedPrompts("0" * 64, (), 0.0),
        loaded={"engine_version": "7.1", "observed": observed},
    )


def codes(job: Job, *token_times: list[float], **observed: Any) -> dict[str, str]:
    requests = [{"token_times": times} for times in token_times or ([1.0, 2.0],)]
    return {flag.code: flag.message for flag in flags(job, seen(**observed), requests)}


def test_an_attached_server_is_flagged_with_what_it_tells_of_itself() -> None:
    found = codes(job({}), address="127.0.0.1:8000", model="m", version=None)
    assert found == {
        "attached": "address 127.0.0.1:8000, model m",
        "prefix_cache_unknown": "the server's cache of prompts was not switched off by this "
        "workflow",
    }
    assert list(codes(job({"prefix_cache": "off"}))) == ["attached"]
    assert engine_version(job({}), seen()) == "7.1"


def test_a_chat_is_flagged_with_the_tokens_of_its_template() -> None:
    bare = {"everyday": {"shipped": "everyday", "limit": 2, "seed": 1}}
    one = job({"prompt": "chat"}, prompts=bare)
    assert "adds 7 tokens" in codes(one, chat_template_tokens=7)["prompts_in_chat"]
    assert "an unknown number of" in codes(one, chat_template_tokens=None)["prompts_in_chat"]


def test_lengths_are_reported_where_answers_end_by_themselves() -> None:
    found = codes(job({"exact_length": {}}, settings=NATURAL), [1.0], [1.0, 2.0, 3.0])
    assert found["natural_length"] == "1 to 3 tokens, 2.0 on average"


def test_counts_from_the_text_are_flagged() -> None:
    hf = {"smollm2-135m-instruct": {"source": {"path": "/nowhere", "sha256": "0" * 64}}}
    server = {"tokenizer": "pytorch", "token_counts": "retokenised", "exact_length": {}}
    found = codes(job(server, settings=NATURAL, models=hf))
    assert found["tokens_retokenised"] == "tokens were counted in the text of the answers"


def test_tokens_that_came_together_are_flagged_and_do_not_shorten_the_gaps() -> None:
    times = [1.0, 1.0, 1.0, 2.0, 2.0]
    assert codes(job({}), times)["tokens_share_chunks"].startswith("75% of the tokens")
    assert "tokens_share_chunks" not in codes(job({}))
    # The three tokens of the first chunk are in no divisor: 1 s for two tokens.
    assert chunk_gaps(times, start=0.0, end=9.0) == [0.5, 0.5]


def test_answers_that_came_whole_are_flagged_as_such_alone() -> None:
    whole = job({"streams": False, "token_counts": "usage"}, settings={"load_mode": "waves"})
    found = codes(whole, [1.0, 1.0, 1.0])
    words = "each answer came whole, and its tokens have the time of its end"
    assert found["not_streamed"] == words
    assert "tokens_share_chunks" not in found
    assert "not_streamed" not in codes(job({}))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1", None),
        ("http://[::1]:1", None),
        ("http://localhost:1", None),
        ("http://10.0.0.7:1", "attached_elsewhere"),
        ("https://127.example.org", "attached_elsewhere"),
    ],
)
def test_energy_is_that_of_this_host_alone(url: str, reason: str | None) -> None:
    assert reason_without_energy(job({"url": url})) == reason
