"""What the engines on PyTorch share: token ids, the process they run in, want of memory."""

import getpass
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from worker.engines.base import EngineError

NO_MEMORY = ("out of memory", "defaultcpuallocator", "cublas_status_alloc_failed")
"""What PyTorch and CUDA say, in lower case; whatever the class of the error."""


def prepare_process(*, threads: int) -> None:
    """Set what PyTorch and its libraries read when they are imported.

    They cache what they compile in the home folder, which a container may have none of.
    """
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["HF_HUB_OFFLINE"] = "1"
    if not os.access(Path.home(), os.W_OK):
        os.environ["HOME"] = tempfile.gettempdir()
    try:
        getpass.getuser()
    except (KeyError, OSError):  # a user without a name, who PyTorch's compiler asks for
        os.environ["USER"] = str(os.getuid())


def says_out_of_memory(text: str) -> bool:
    """Whether these words of PyTorch or CUDA mean that memory ran out."""
    return any(words in text.lower() for words in NO_MEMORY)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error`, or what it was raised from, means that memory ran out."""
    cause = error.__cause__ or error.__context__
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and says_out_of_memory(str(error)))
        or (cause is not None and is_out_of_memory(cause))
    )


def token_ids(model_path: str, texts: Sequence[str], *, chat_template: bool) -> list[list[int]]:
    """Token ids of each text, see `Engine.tokenize`.

    Raises:
        EngineError: a chat template is wanted and the model has none.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_path, local_files_only=True)
    if not chat_template:
        return [list(tokenizer(text)["input_ids"]) for text in texts]
    if not tokenizer.chat_template:
        raise EngineError(f"{model_path}: its tokenizer has no chat template")
    return [
        list(
            tokenizer.apply_chat_template(
                [{"role": "user", "content": text}],
                add_generation_prompt=True,
                return_dict=False,
            )
        )
        for text in texts
    ]
