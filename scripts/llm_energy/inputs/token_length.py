"""Prompts as token ids of a length that is allowed: refused or cut where they are longer."""

from collections.abc import Sequence
from dataclasses import dataclass

from llm_energy.system.errors import PromptError

PROBES = ("a", "1")
"""Two texts that share no token: the common end of their token ids is the template's end."""


@dataclass(frozen=True)
class Room:
    """The least room for prompts among the experiments of a campaign that use a set."""

    context_tokens: int
    output_tokens: int

    def check(self, longest: int) -> None:
        """Check that a set fits whose longest prompt has `longest` tokens.

        Raises:
            PromptError: it does not; with the remedies.
        """
        if longest + self.output_tokens > self.context_tokens:
            raise PromptError(
                f"a prompt of {longest} tokens does not fit the experiments with output_tokens "
                f"{self.output_tokens} and context_tokens {self.context_tokens}; raise "
                "context_tokens, or lower max_input_tokens"
            )


def template_end(first: Sequence[int], second: Sequence[int]) -> list[int]:
    """Token ids that a chat template puts after every prompt, from those of the two probes."""
    length = 0
    while length < min(len(first), len(second)) and first[-1 - length] == second[-1 - length]:
        length += 1
    return list(first[len(first) - length :])


def truncated(token_ids: Sequence[int], *, maximum: int, end: Sequence[int]) -> list[int]:
    """The first token ids, at most `maximum` of them with the template's `end` kept whole.

    Raises:
        PromptError: nothing of the prompt would be left.
    """
    if len(token_ids) <= maximum:
        return list(token_ids)
    if maximum <= len(end):
        raise PromptError(
            f"max_input_tokens {maximum} leaves no room for a prompt: the chat template alone "
            f"ends with {len(end)} tokens; raise it"
        )
    return [*token_ids[: maximum - len(end)], *end]


def check_length(token_ids: Sequence[int], *, maximum: int, place: str) -> None:
    """Check that a prompt is neither empty nor too long.

    Raises:
        PromptError: it has no token at all, or too many.
    """
    if not token_ids:
        raise PromptError(f"{place}: the model's tokenizer makes no token of this prompt")
    if len(token_ids) > maximum:
        raise PromptError(
            f"{place}: the prompt has {len(token_ids)} tokens, over max_input_tokens {maximum}; "
            "raise it, or set `on_too_long: truncate`"
        )
