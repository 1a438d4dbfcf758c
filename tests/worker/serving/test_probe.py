"""Three requests to stand-ins that speak as real servers do, and to those that cannot be used."""

from dataclasses import replace
from typing import Any

import pytest
from tests.worker.serving import stand_in
from tests.worker.serving.frames import chunked, refusing
from tests.worker.serving.stand_in import DIALECTS, serving

from worker.serving.dialect import (
    CHAT,
    CHUNKS,
    IDS,
    RETOKENISED,
    TEXT,
    TOKEN_COUNTS,
    TOKEN_IDS,
    USAGE,
    USAGE_AT_END,
    Dialect,
)
from worker.serving.faults import FAILED, MISCOUNTED, ServerError
from worker.serving.probe import DialectFacts, check, probe, probe_text


def facts(answer: Any, dialect: Dialect, *, context_tokens: int = 512) -> DialectFacts:
    with serving(answer) as server:
        return probe(
            server.address,
            dialect,
            model="m",
            context_tokens=context_tokens,
            text_tokens=len(probe_text(context_tokens).encode()),
        )


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_in_use_is_found_to_work(name: str) -> None:
    answer, dialect = DIALECTS[name]
    found = facts(lambda body: chunked(answer(body)), dialect)
    check(found, dialect)
    assert found.works(dialect.token_counts)
    assert found.tokens == found.requested == 16
    in_template = dialect.prompt == CHAT
    assert found.template_tokens == (stand_in.TEMPLATE_TOKENS if in_template else 0)
    assert found.prompt == (64 if dialect.prompt == IDS else 269)
    assert found.best_way() == dialect.token_counts


def test_a_server_that_tells_nothing_leaves_the_text() -> None:
    answer, dialect = stand_in.BARE
    found = facts(lambda body: chunked(answer(body)), dialect)
    check(found, dialect)
    assert found.tokens is None
    assert found.best_way() == RETOKENISED
    (fault, *_) = found.faults(Dialect(CHUNKS, prompt=TEXT))
    counted = "token_counts chunks counts 8 of an unknown number of tokens"
    assert fault == f"{counted}; set token_counts: retokenised"


def test_a_server_that_takes_no_ids_says_so_and_gets_text() -> None:
    def answer(body: dict[str, Any]) -> bytes:
        if not isinstance(body["prompt"], str):
            return refusing(400, {"error": {"message": "cannot unmarshal array"}})
        return chunked(stand_in.ollama(body))

    with pytest.raises(ServerError, match="cannot unmarshal array"):
        facts(answer, Dialect(USAGE_AT_END))
    assert facts(answer, Dialect(USAGE_AT_END, prompt=TEXT)).works(USAGE_AT_END)


@pytest.mark.parametrize(("name", "best"), [("vllm", TOKEN_IDS), ("tensorrt", USAGE)])
def test_the_remedy_is_a_way_that_works(name: str, best: str) -> None:
    found = facts(lambda body: chunked(DIALECTS[name][0](body)), Dialect())
    (fault,) = found.faults(Dialect("logprobs"))
    assert fault == f"token_counts logprobs counts none of 16 tokens; set token_counts: {best}"


def test_a_small_context_gets_small_requests() -> None:
    found = facts(lambda body: chunked(stand_in.vllm(body)), Dialect(), context_tokens=8)
    assert (found.prompt, found.requested) == (6, 2)


def test_what_ends_early_or_comes_from_a_cache_is_named_with_its_remedy() -> None:
    answers = []

    def answer(body: dict[str, Any]) -> bytes:
        answers.append(body)
        events = stand_in.vllm({**body, "max_tokens": 7})
        cached = 48 if len(answers) == 2 else 0
        return chunked(
            [e.replace('"cached_tokens": 0', f'"cached_tokens": {cached}') for e in events]
        )

    found = facts(answer, Dialect(TOKEN_IDS))
    early, cache = found.faults(Dialect(TOKEN_IDS, exact_length={"ignore_eos": True}))
    assert "7 tokens came where 16 were requested (finish_reason length); give exact_le" in early
    assert "48 of 64 prompt tokens came from a cache" in cache
    assert found.faults(Dialect(TOKEN_IDS)) == [cache]


LONG = 'request the field by which this server limits an answer, such as max_completion_tokens: "{'


@pytest.mark.parametrize("exact", [{}, {"ignore_eos": True}])
def test_an_answer_longer_than_requested_is_a_fault_of_any_length(exact: dict[str, Any]) -> None:
    found = facts(lambda b: chunked(stand_in.vllm({**b, "max_tokens": 20})), Dialect(TOKEN_IDS))
    (fault,) = found.faults(Dialect(TOKEN_IDS, exact_length=exact))
    assert fault.startswith("20 tokens came where 16 were requested (finish_reason length); ")
    assert LONG in fault


UNFINISHED = {
    "no end": ('"finish_reason": "length"', '"finish_reason": null', "after 16 tokens, unfinished"),
    "aborted": ('"length"', '"abort"', "ended a request as 'abort'; switch off what ends them as"),
    "in a chunk": ("data: [DONE]\n\n", "data: {", "the stream ended inside a chunk: data: {; so"),
}


@pytest.mark.parametrize("name", UNFINISHED)
def test_answers_that_pass_for_incomplete_are_a_fault(name: str) -> None:
    """Each measurement would end with it in its first wave."""
    old, new, words = UNFINISHED[name]

    def answer(body: dict[str, Any]) -> bytes:
        return chunked([event.replace(old, new) for event in stand_in.vllm(body)])

    (fault,) = facts(answer, Dialect(TOKEN_IDS)).faults(Dialect(TOKEN_IDS))
    assert words in fault
    with pytest.raises(ServerError) as error:
        check(facts(answer, Dialect(TOKEN_IDS)), Dialect(TOKEN_IDS))
    assert error.value.reason == MISCOUNTED


def test_one_incomplete_answer_of_two_may_be_whole_another_time() -> None:
    answers = []

    def answer(body: dict[str, Any]) -> bytes:
        answers.append(body)
        end = '"abort"' if len(answers) == 2 else '"length"'
        return chunked([event.replace('"length"', end) for event in stand_in.vllm(body)])

    with pytest.raises(ServerError, match="ended a request as 'abort'") as error:
        facts(answer, Dialect(TOKEN_IDS))
    assert error.value.reason == FAILED


def test_a_stream_without_usage_cannot_be_checked() -> None:
    def answer(body: dict[str, Any]) -> bytes:
        return chunked([event for event in stand_in.vllm(body) if '"choices": []' not in event])

    found = facts(answer, Dialect())
    assert found.faults(Dialect(TOKEN_IDS)) == []
    (fault,) = found.faults(Dialect(CHUNKS))
    assert "include_usage: true" in fault


def test_a_prompt_that_is_taken_otherwise_is_an_error() -> None:
    def answer(body: dict[str, Any]) -> bytes:
        return chunked(stand_in.vllm({**body, "prompt": [1, *body["prompt"]]}))

    with pytest.raises(ServerError, match="64 token ids were sent, the server counts 65"):
        check(facts(answer, Dialect(TOKEN_IDS)), Dialect(TOKEN_IDS))


def test_a_server_that_does_not_stream_is_refused() -> None:
    with pytest.raises(ServerError) as error:
        facts(stand_in.answer_whole, Dialect(CHUNKS))
    assert str(error.value) == (
        "the server does not stream: it answered with no content-type where text/event-stream was "
        "requested; switch its streaming on, or off what gathers its answers, or declare "
        "`streams: false`: time to first token and inter-token latency are then null"
    )
    with pytest.raises(ServerError, match="the server reports: no such model"):
        facts(lambda _: refusing(200, {"error": {"message": "no such model"}}), Dialect(CHUNKS))


WHOLE = Dialect(USAGE, exact_length={"ignore_eos": True}, streams=False)


def test_answers_that_come_whole_are_counted_by_their_usage() -> None:
    def answer(body: dict[str, Any]) -> bytes:
        assert body["stream"] is False
        return stand_in.answer_whole(body)

    found = facts(answer, WHOLE)
    check(found, WHOLE)
    assert found.tokens == found.usage_tokens == found.requested == 16
    assert found.best_way() == USAGE
    (fault,) = found.faults(replace(WHOLE, token_counts=CHUNKS))
    assert fault == "token_counts chunks counts none of 16 tokens; set token_counts: usage"


def test_answers_that_come_whole_and_tell_no_number_leave_the_text() -> None:
    def answer(_: dict[str, Any]) -> bytes:
        return refusing(200, {"choices": [{"text": "abc", "finish_reason": "stop"}]})

    found = facts(answer, WHOLE)
    (fault,) = found.faults(WHOLE)
    counted = "token_counts usage counts none of an unknown number of tokens"
    assert fault == f"{counted}; set token_counts: retokenised"
    assert found.faults(replace(WHOLE, token_counts=RETOKENISED)) == []


def test_answers_that_come_whole_are_checked_as_a_stream_is() -> None:
    early = facts(lambda body: stand_in.answer_whole({**body, "max_tokens": 7}), WHOLE)
    assert "7 tokens came where 16 were requested (finish_reason length)" in early.faults(WHOLE)[0]
    other = facts(lambda b: stand_in.answer_whole({**b, "prompt": [1, *b["prompt"]]}), WHOLE)
    assert "64 token ids were sent, the server counts 65" in other.faults(WHOLE)[0]
    with pytest.raises(ServerError, match="answered 429 at /v1/completions: slow down"):
        facts(lambda _: refusing(429, {"error": {"message": "slow down"}}), WHOLE)
    with pytest.raises(ServerError, match="the server reports: no such model"):
        facts(lambda _: refusing(200, {"error": {"message": "no such model"}}), WHOLE)


@pytest.mark.parametrize(("end", "words"), [(None, "unfinished; so"), ("abort", "as 'abort'; sw")])
def test_an_answer_that_comes_whole_says_that_it_is_complete(end: str | None, words: str) -> None:
    def answer(_: dict[str, Any]) -> bytes:
        usage = {"prompt_tokens": 64, "completion_tokens": 16}
        return refusing(200, {"choices": [{"text": "a", "finish_reason": end}], "usage": usage})

    (fault,) = facts(answer, WHOLE).faults(WHOLE)
    assert words in fault


@pytest.mark.parametrize("usage", [{"prompt_tokens": "64", "completion_tokens": "16"}, [16], "x"])
def test_a_usage_of_other_types_is_none(usage: Any) -> None:
    def answer(_: dict[str, Any]) -> bytes:
        choices = [{"text": "abc", "finish_reason": "stop"}]
        return refusing(200, {"choices": choices, "usage": usage})

    found = facts(answer, WHOLE)
    assert found.usage_tokens is found.usage_prompt_tokens is found.natural_tokens is None
    (fault,) = found.faults(WHOLE)
    assert "token_counts usage counts none of an unknown number of tokens" in fault


def test_a_server_that_streams_is_not_declared_to_have_no_stream() -> None:
    with pytest.raises(ServerError, match="the server streams, though"):
        facts(lambda body: chunked(stand_in.vllm(body)), WHOLE)


@pytest.mark.parametrize("way", [way for way in TOKEN_COUNTS if way not in (CHUNKS, RETOKENISED)])
def test_tokens_that_cannot_be_counted_as_declared_are_a_fault(way: str) -> None:
    """Each way on a server that has text in its chunks, some with two tokens, and nothing else."""
    found = facts(lambda body: chunked(stand_in.bare(body)), Dialect(way, prompt=TEXT))
    with pytest.raises(ServerError, match=f"token_counts {way} counts (none|8) of an unknown"):
        check(found, Dialect(way, prompt=TEXT))


def test_a_refusal_is_in_the_servers_words() -> None:
    with pytest.raises(ServerError, match="422 at /v1/completions: ignore_eos: extra"):
        facts(lambda _: refusing(422, {"detail": "ignore_eos: extra"}), Dialect())
