"""Tokens of answers whose server tells no number of them: the text, split again."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from worker.engines.base import EngineError

TOKENIZER_FILE = "tokenizer.json"
"""A tokenizer of Transformers, whole in one file."""


class Retokeniser:
    """Counts the tokens of answers by splitting their text again."""

    def __init__(self, model_path: str) -> None:
        """Read the model's tokenizer.

        Raises:
            EngineError: the model or the environment has none that can do it.
        """
        file = Path(model_path) / TOKENIZER_FILE
        if not file.is_file():
            message = f"token_counts: retokenised needs a model with {TOKENIZER_FILE} (format hf)"
            raise EngineError(message)
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            message = "token_counts: retokenised needs the package tokenizers in the environment"
            raise EngineError(message) from error
        self._tokenizer = Tokenizer.from_file(str(file))

    def chunk_tokens(self, chunks: Sequence[str]) -> list[int]:
        """Return the tokens of each chunk of an answer: each is in the chunk of its last character.

        Their sum is the number of tokens of the whole text.
        """
        encoding = self._tokenizer.encode("".join(chunks), add_special_tokens=False)
        ends = list(accumulate(map(len, chunks)))
        counts = [0] * len(chunks)
        for _, end in encoding.offsets:
            counts[min(bisect_left(ends, end), len(ends) - 1)] += 1
        return counts
