"""A server of the completions API that speaks the quirks of real ones, as they were seen.

Each dialect turns the body of a request into the events of its answer. How the bytes of an answer
are cut, and where they end, is the test's choice.
"""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from tests.worker.serving.frames import chunked, refusing

from worker.engines.base import Request
from worker.serving.address import Address
from worker.serving.dialect import (
    CHAT,
    CHUNKS,
    IDS,
    LLAMA_CPP,
    LOGPROBS,
    RETOKENISED,
    TEXT,
    TOKEN_IDS,
    USAGE,
    USAGE_AT_END,
    Dialect,
)
from worker.workload import Sampling

TEXTS = ("Paris", "", " is", " é", "🎉", " the", "", " 你")
"""Texts of tokens: some are empty, some are several bytes."""

Events = list[str]
Answer = Callable[[dict[str, Any]], Events]


TEMPLATE_TOKENS = 7
"""Tokens that the template of a chat adds to a prompt."""


def letters(ids: Sequence[int]) -> str:
    """Return a text of as many tokens: those of the servers that take texts are bytes."""
    return "".join(chr(ord("a") + number % 26) for number in ids)


def prompt_of(body: dict[str, Any]) -> tuple[str, int]:
    """Return the form of a request's prompt, and its tokens."""
    if "messages" in body:
        (message,) = body["messages"]
        assert message["role"] == "user"
        return CHAT, TEMPLATE_TOKENS + len(message["content"].encode())
    prompt = body["prompt"]
    return (TEXT, len(prompt.encode())) if isinstance(prompt, str) else (IDS, len(prompt))


def _usage(body: dict[str, Any], tokens: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt_of(body)[1], "completion_tokens": tokens, **more}


def _data(content: Any) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"


def _choice(text: str, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"index": 0, "text": text, "finish_reason": finish, **more}


def _texts(body: dict[str, Any]) -> Iterator[tuple[int, str, str | None]]:
    count = body["max_tokens"]
    for number in range(count):
        yield number, TEXTS[number % len(TEXTS)], "length" if number == count - 1 else None


def vllm(body: dict[str, Any]) -> Events:
    """A chunk for each token with its id, text or not; the end is in the last; usage after it."""
    events = [
        _data({"choices": [_choice(text, finish, token_ids=[100 + number])], "usage": None})
        for number, text, finish in _texts(body)
    ]
    usage = _usage(body, body["max_tokens"], prompt_tokens_details={"cached_tokens": 0})
    return [*events, _data({"choices": [], "usage": usage}), "data: [DONE]\n\n"]


def llama_cpp(body: dict[str, Any]) -> Events:
    """Characters, not tokens: one of three tokens comes at once, with the id of the last alone."""
    events, tokens = ["data: null\n\n"], 0
    while tokens < body["max_tokens"]:
        tokens = min(tokens + (3 if tokens % 2 else 1), body["max_tokens"])
        detail = {"tokens": [100 + tokens], "tokens_predicted": tokens}
        events.append(_data({"choices": [_choice("🎉")], "__verbose": detail}))
    last = {
        "choices": [_choice("", "length")],
        "usage": _usage(body, tokens, prompt_tokens_details={"cached_tokens": 0}),
        "__verbose": {"tokens": [], "tokens_predicted": tokens},
    }
    return [*events, _data(last), "data: [DONE]\n\n"]


def tensorrt(body: dict[str, Any]) -> Events:
    """No ids; each chunk has the usage so far; keep-alive comments between; no `[DONE]`."""
    events = []
    for number, text, finish in _texts(body):
        usage = _usage(body, number + 1)
        events += [": keep-alive\n\n", _data({"choices": [_choice(text, finish)], "usage": usage})]
    return events


def openai(body: dict[str, Any]) -> Events:
    """Log probabilities of each token, two tokens in a chunk; lines end as in the specification."""
    events = []
    for first in range(0, body["max_tokens"], 2):
        tokens = ["a", "b"][: body["max_tokens"] - first]
        events.append(_data({"choices": [_choice("".join(tokens), logprobs={"tokens": tokens})]}))
    events.append(_data({"choices": [_choice("", "length")]}))
    events.append(_data({"choices": [], "usage": _usage(body, body["max_tokens"])}))
    return [event.replace("\n", "\r\n") for event in [*events, "data: [DONE]\n\n"]]


def transformers(body: dict[str, Any]) -> Events:
    """Usage unasked in the last chunk, with the end; no `[DONE]`."""
    events = [_data({"choices": [_choice("x")]}) for _ in range(body["max_tokens"])]
    usage = _usage(body, body["max_tokens"])
    return [*events, _data({"choices": [_choice("", "length")], "usage": usage})]


def ollama(body: dict[str, Any]) -> Events:
    """Text alone; usage of zeros in each chunk; parts of characters and the end of text have none.

    The chunk that ends the answer is without text, and one without choices has the true usage.
    """
    assert prompt_of(body)[0] == TEXT
    zeros = {"prompt_tokens": 0, "completion_tokens": 0}
    events = [
        _data({"choices": [_choice(text)], "usage": zeros}) for _, text, _ in _texts(body) if text
    ]
    events.append(_data({"choices": [_choice("", "length")], "usage": zeros}))
    usage = _usage(body, body["max_tokens"])
    return [*events, _data({"choices": [], "usage": usage}), "data: [DONE]\n\n"]


def text_generation_inference(body: dict[str, Any]) -> Events:
    """Text alone; a chunk for each token; the last has the end, the usage and perhaps no text."""
    assert prompt_of(body)[0] == TEXT
    events = []
    for number, text, finish in _texts(body):
        chunk: dict[str, Any] = {"choices": [_choice(text, finish or "", logprobs=None)]}
        if finish:
            chunk["usage"] = _usage(body, number + 1)
        events.append(_data(chunk))
    return [*events, ": keep-alive\n\n", "data: [DONE]\n\n"]


def chat(body: dict[str, Any]) -> Events:
    """A chat alone: first the role, then parts of the answer, of thoughts too; usage at the end."""
    assert prompt_of(body)[0] == CHAT
    events = [_data({"choices": [{"delta": {"role": "assistant", "content": ""}}]})]
    for number in range(body["max_tokens"]):
        delta = {"reasoning_content": "hm"} if number % 2 else {"content": "a"}
        events.append(_data({"choices": [{"delta": delta, "finish_reason": None}]}))
    events.append(_data({"choices": [{"delta": {}, "finish_reason": "length"}]}))
    usage = _usage(body, body["max_tokens"])
    return [*events, _data({"choices": [], "usage": usage}), "data: [DONE]\n\n"]


def bare(body: dict[str, Any]) -> Events:
    """Text and nothing else: no ids, no usage, no log probabilities; several tokens in a chunk."""
    texts = [text for _, text, _ in _texts(body)]
    pairs = ["".join(texts[first : first + 2]) for first in range(0, len(texts), 2)]
    events = [_data({"choices": [_choice(text)]}) for text in pairs]
    return [*events, _data({"choices": [_choice("", "stop")]})]


DIALECTS: dict[str, tuple[Answer, Dialect]] = {
    "vllm": (vllm, Dialect(TOKEN_IDS, {"return_token_ids": True}, {"ignore_eos": True})),
    "llama_cpp": (llama_cpp, Dialect(LLAMA_CPP, {"verbose": True}, {"ignore_eos": True})),
    "tensorrt": (tensorrt, Dialect(USAGE, {}, {"min_tokens": "{output_tokens}"})),
    "openai": (openai, Dialect(LOGPROBS, {"logprobs": 0})),
    "transformers": (transformers, Dialect(CHUNKS)),
    "ollama": (ollama, Dialect(USAGE_AT_END, prompt=TEXT)),
    "tgi": (text_generation_inference, Dialect(CHUNKS, prompt=TEXT)),
    "chat": (chat, Dialect(CHUNKS, prompt=CHAT)),
}
"""Name -> the server's answer, and the dialect to ask it in."""

BARE = (bare, Dialect(RETOKENISED, prompt=TEXT))
"""As those of `DIALECTS`, but the number of tokens is nowhere."""


def body_of(one: Request, dialect: Dialect) -> dict[str, Any]:
    """Return the body of a request, with letters for token ids where the server wants text."""
    sent = one.prompt if dialect.prompt == IDS else letters(one.prompt)
    body = json.loads(f"{{{dialect.prompt_field(sent)}}}")
    return {**body, "max_tokens": one.output_tokens}


@dataclass
class StandIn:
    """A running server; `answer` makes the bytes of an answer, `close_after` ends a connection."""

    answer: Callable[[dict[str, Any]], bytes | Sequence[bytes]]
    close_after: int = 10**9
    """Requests that a connection carries."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    closed: int = 0
    """Connections that have ended."""
    port: int = 0
    host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, self.port), family=family)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> Address:
        return Address(self.host, self.port)

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines, suppress(OSError):
            self._answer_requests(connection, lines)
        self.closed += 1

    def _answer_requests(self, connection: socket.socket, lines: BinaryIO) -> None:
        for _ in range(self.close_after):
            head = b""
            while (line := lines.readline()).strip():
                head += line
            if not head:
                return
            self.heads.append(head.decode())
            length = [h for h in head.splitlines() if h.lower().startswith(b"content-length")]
            body = lines.read(int(length[0].split(b":")[1])) if length else b"{}"
            self.requests.append(json.loads(body))
            answer = self.answer(self.requests[-1])
            pieces = [answer] if isinstance(answer, bytes) else answer
            for piece in pieces:
                connection.sendall(piece)
            if b"Connection: close" in b"".join(pieces):
                return


def answer_all(body: dict[str, Any]) -> bytes:
    """Answer as vLLM does, and what is no completion as a server that is ready."""
    if "prompt" in body:
        return chunked(vllm(body) if prompt_of(body)[0] == IDS else ollama(body))
    if "messages" in body:
        return chunked(chat(body))
    return refusing(200, {"data": [{"id": "m", "max_model_len": 4096}], "version": "7.1"})


def answer_whole(body: dict[str, Any]) -> bytes:
    """Answer as a server, or a proxy before it, that does not stream."""
    if "max_tokens" not in body:
        return answer_all(body)
    choice = _choice("abc", "length")
    return refusing(200, {"choices": [choice], "usage": _usage(body, body["max_tokens"])})


@contextmanager
def serving(answer: Callable[[dict[str, Any]], Any], **changes: Any) -> Iterator[StandIn]:
    server = StandIn(answer, **changes)
    try:
        yield server
    finally:
        server.close()


def request(number: int = 0, *, tokens: int = 5, prompt: int = 3, **sampling: Any) -> Request:
    """A request of one prompt of so many tokens."""
    return Request(number, tuple(range(1, prompt + 1)), tokens, Sampling(**sampling))
