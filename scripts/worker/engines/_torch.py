"""The base of the engines on PyTorch: token ids, environment, out of memory."""

import getpass
import os
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

from worker.chat_template import midnight, no_template
from worker.engines._printed import printed_since
from worker.engines.base import Engine, EngineError

OUT_OF_MEMORY_WORDS = ("out of memory", "defaultcpuallocator", "cublas_status_alloc_failed")
"""Messages of PyTorch and CUDA, in lower case; the class of the error varies."""


class TorchEngine(Engine):
    """An engine on PyTorch, with tokenizers of Transformers."""

    MORE_OUT_OF_MEMORY_WORDS: ClassVar[tuple[str, ...]] = ()
    """The engine's own messages, in lower case."""

    @classmethod
    def environment(cls, options: Mapping[str, Any]) -> dict[str, str]:
        """Return the threads, and a home and a user where there are none, as in a container.

        Compiled code is cached in the home folder, under the user's name.
        """
        variables = {"OMP_NUM_THREADS": str(options.get("threads", 1)), "HF_HUB_OFFLINE": "1"}
        if not os.access(Path.home(), os.W_OK):
            variables["HOME"] = tempfile.gettempdir()
        try:
            getpass.getuser()
        except (KeyError, OSError):
            variables["USER"] = str(os.getuid())
        return variables

    def tokenize(
        self, model_path: str, texts: Sequence[str], *, template_date: date | None
    ) -> list[list[int]]:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(model_path, local_files_only=True)
        if template_date is None:
            return [list(tokenizer(text)["input_ids"]) for text in texts]
        if not tokenizer.chat_template:
            raise EngineError(no_template(model_path))
        return [
            list(
                tokenizer.apply_chat_template(
                    [{"role": "user", "content": text}],
                    add_generation_prompt=True,
                    return_dict=False,
                    strftime_now=midnight(template_date).strftime,
                )
            )
            for text in texts
        ]

    def detokenize(self, model_path: str, token_ids: Sequence[Sequence[int]]) -> list[str]:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(model_path, local_files_only=True)
        return [
            tokenizer.decode(list(ids), clean_up_tokenization_spaces=False) for ids in token_ids
        ]

    @classmethod
    def is_out_of_memory(cls, error: BaseException) -> bool:
        cause = error.__cause__ or error.__context__  # where a worker process failed: its error
        return (
            isinstance(error, MemoryError)
            or type(error).__name__ == "OutOfMemoryError"
            or cls._means_out_of_memory(str(error))
            or (cause is not None and cls.is_out_of_memory(cause))
        )

    @classmethod
    def raise_printed_cause(cls, error: Exception, start: int) -> None:
        """Raise MemoryError where a child process ran out of memory.

        `error` only says that the child is gone; the child printed the cause after `start`.
        """
        if cls.is_out_of_memory(error):
            return
        for line in printed_since(start):
            if cls._means_out_of_memory(line):
                raise MemoryError(line.strip()) from error

    @classmethod
    def _means_out_of_memory(cls, text: str) -> bool:
        words = (*OUT_OF_MEMORY_WORDS, *cls.MORE_OUT_OF_MEMORY_WORDS)
        return any(word in text.lower() for word in words)
