"""Texts of prompts, for servers that take no token ids."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from worker.engines.base import EngineError


def ask(question: dict[str, Any]) -> dict[str, Any]:
    """Return the answer of `worker.oneshot`: in a process of its own, which ends with the answer.

    Raises:
        EngineError: it has none.
    """
    command = [sys.executable, "-m", "worker.oneshot"]
    done = subprocess.run(
        command, input=json.dumps(question).encode(), stdout=subprocess.PIPE, check=False
    )
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        message = f"the tokenizer {question['backend']} ended with exit code {done.returncode}"
        raise EngineError(message) from error
    if "error" in answer:
        raise EngineError(f"the tokenizer {question['backend']}: {answer['error']}")
    return answer


def texts_of(
    tokenizer: str, model_path: str, prompts: Sequence[tuple[int, ...]]
) -> dict[tuple[int, ...], str]:
    """Return the text of each prompt, which the tokenizer splits into as many tokens again.

    Raises:
        EngineError: there is no such text.
    """
    question = {"op": "texts", "backend": tokenizer, "model_path": model_path}
    answer = ask({**question, "token_ids": list(prompts)})
    return dict(zip(prompts, answer["texts"], strict=True))


def tokens_of(tokenizer: str, model_path: str, text: str) -> int:
    """Return how many tokens the tokenizer makes of a text; raises as `texts_of`."""
    question = {"op": "tokenize", "backend": tokenizer, "model_path": model_path}
    answer = ask({**question, "texts": [text], "template_date": None})
    return len(answer["token_ids"][0])


def same_text(
    ids: Sequence[int], again: Sequence[int], without_first: Sequence[int]
) -> bool | None:
    """Return which text stands for a prompt: True for all of it, False for that without its start.

    The tokenizer may add a token for the start by itself. None where neither gives as many tokens.

    Args:
        again: token ids of the text of all `ids`.
        without_first: those of the text of all but the first.
    """
    if list(again) == list(ids):
        return True
    if list(without_first) == list(ids):
        return False
    if len(again) == len(ids):
        return True
    return False if len(without_first) == len(ids) else None
