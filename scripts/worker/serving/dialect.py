"""One server's way of speaking the completions API: what a request holds, what a chunk tells."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.engines.base import Request
from worker.workload import ServerConfig

TOKEN_IDS = "token_ids"
LLAMA_CPP = "llama_cpp"
USAGE = "usage"
LOGPROBS = "logprobs"
CHUNKS = "chunks"
USAGE_AT_END = "usage_at_end"
RETOKENISED = "retokenised"

TOKEN_COUNTS = {
    TOKEN_IDS: "`choices[].token_ids` of each chunk, as vLLM and SGLang send for return_token_ids",
    LLAMA_CPP: "`__verbose` of each chunk, as llama.cpp sends for verbose and return_tokens",
    USAGE: "`usage.completion_tokens` of each chunk, counted up (continuous_usage_stats)",
    LOGPROBS: "entries of `choices[].logprobs.tokens` in each chunk",
    CHUNKS: "one token for each chunk; refused where `usage` at the end has another number",
    USAGE_AT_END: "`usage` at the end: a token for each chunk with text, the others with the end",
    RETOKENISED: "the answer's text, split again by the model's tokenizer; for natural lengths",
}
"""Way in which the tokens of a chunk are counted -> its source."""

WHOLE_COUNTS = (USAGE, RETOKENISED)
"""Ways that count the tokens of an answer that comes whole, the best one first."""

IDS, TEXT, CHAT = "token_ids", "text", "chat"
"""Forms of a prompt: its token ids, their text, or that text as the one message of a chat."""

COMPLETIONS, CHAT_COMPLETIONS = "/v1/completions", "/v1/chat/completions"

OUTPUT_TOKENS = "{output_tokens}"
"""Value in a request that stands for the number of tokens requested."""


@dataclass(frozen=True)
class Dialect:
    """How one server spells a request, and where it tells how many tokens a chunk has."""

    token_counts: str = CHUNKS
    """A key of `TOKEN_COUNTS`."""
    request: dict[str, Any] = field(default_factory=dict)
    """Fields of every request beyond model, prompt, length, sampling and stream."""
    exact_length: dict[str, Any] = field(default_factory=dict)
    """Fields that make a request give exactly as many tokens as requested; none: it cannot."""
    top_k_unlimited: int = 0
    """Value of `top_k` that keeps all tokens."""
    prompt: str = IDS
    streams: bool = True
    """False where each answer comes whole."""

    @classmethod
    def of(cls, server: ServerConfig) -> "Dialect":
        return cls(
            token_counts=server.token_counts,
            request=server.request,
            exact_length=server.exact_length,
            top_k_unlimited=server.top_k_unlimited,
            prompt=server.prompt,
            streams=server.streams,
        )

    @property
    def path(self) -> str:
        """The path that requests go to."""
        return CHAT_COMPLETIONS if self.prompt == CHAT else COMPLETIONS

    def prompt_field(self, prompt: Sequence[int] | str) -> str:
        """Return the field of a request that holds its prompt, as JSON without braces."""
        if self.prompt != CHAT:
            return f'"prompt":{json.dumps(prompt, separators=(",", ":"))}'
        return f'"messages":{json.dumps([{"role": "user", "content": prompt}])}'

    def body(self, request: Request, *, model: str, stream: bool) -> dict[str, Any]:
        """Return a request as this server takes it, but for the prompt."""
        sampling = request.sampling
        extra = self.request | (self.exact_length if request.exact_length else {})
        if not stream:
            extra = {name: value for name, value in extra.items() if name != "stream_options"}
        body = {
            "model": model,
            "max_tokens": request.output_tokens,
            "temperature": sampling.temperature,
            "stream": stream,
        }
        if sampling.temperature:  # else greedy, to which these mean nothing
            body |= {
                "top_p": sampling.top_p,
                "top_k": sampling.top_k or self.top_k_unlimited,
                "seed": sampling.seed,
            }
        return body | {
            name: request.output_tokens if value == OUTPUT_TOKENS else value
            for name, value in extra.items()
        }
