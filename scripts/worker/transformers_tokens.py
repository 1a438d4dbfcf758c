"""Token ids by a Transformers tokenizer: the same for every engine that reads HF folders."""

from collections.abc import Sequence

from worker.engines.base import EngineError


def tokenize(model_path: str, texts: Sequence[str], *, chat_template: bool) -> list[list[int]]:
    """As `Engine.tokenize` says, with the tokenizer of the folder `model_path`."""
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
