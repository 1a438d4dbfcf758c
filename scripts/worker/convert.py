"""A GGUF file turned into a Transformers folder, for engines that read no GGUF.

Transformers de-quantises the weights when it reads the file. What it saves then is for its own
version only: older ones, which other engines pin, would silently take another rope_theta and
refuse the tokenizer. So both are written in the older form too, which all versions read.
"""

import json
from pathlib import Path
from typing import Any

from worker.engines.base import EngineError

DTYPES = ("float32", "bfloat16", "float16")


def convert(source: Path, target: Path, *, dtype: str) -> list[str]:
    """Convert the GGUF file `source` into the folder `target`; return the names written.

    Args:
        dtype: number format of the weights written, one of DTYPES.

    Raises:
        EngineError: `source` is no GGUF file, or there is no such number format.
    """
    if dtype not in DTYPES:
        raise EngineError(f"dtype: must be one of {', '.join(DTYPES)}, not {dtype!r}")
    if not _is_gguf(source):
        raise EngineError(f"{source}: not a GGUF file")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    model = AutoModelForCausalLM.from_pretrained(
        source.parent, gguf_file=source.name, dtype=torch.float32
    ).to(getattr(torch, dtype))
    model.config.dtype = getattr(torch, dtype)
    # The weights are plain numbers now, but the model still counts as quantised, and a quantised
    # GGUF model cannot be saved.
    model.hf_quantizer = None
    model.is_quantized = False
    del model.config.quantization_config
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    _edit_json(target / "config.json", _in_older_form(model.config.to_dict()))
    tokenizer_facts = {"tokenizer_class": "PreTrainedTokenizerFast"}
    if tokenizer.chat_template:
        tokenizer_facts["chat_template"] = tokenizer.chat_template
    own_version_only = ("backend", "is_local", "local_files_only")
    _edit_json(target / "tokenizer_config.json", tokenizer_facts, without=own_version_only)
    return sorted(path.name for path in target.iterdir())


def _is_gguf(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"GGUF"
    except OSError:
        return False


def _in_older_form(config: dict[str, Any]) -> dict[str, Any]:
    """Return the keys that version 5 of Transformers has renamed, as version 4 reads them."""
    older = {"torch_dtype": str(config["dtype"]).removeprefix("torch.")}
    theta = (config.get("rope_parameters") or {}).get("rope_theta")
    return older if theta is None else {**older, "rope_theta": theta}


def _edit_json(path: Path, changes: dict[str, Any], *, without: tuple[str, ...] = ()) -> None:
    content = {**json.loads(path.read_text()), **changes}
    kept = {key: value for key, value in content.items() if key not in without}
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
