"""Make a model folder with random weights: the shape of a public architecture, nothing downloaded.

    PYTHON random_model.py ARCHITECTURE FOLDER WORDS

PYTHON has torch and transformers; WORDS is a text file, each word of which gets a random token id,
so that any text becomes random token ids. Power depends on the data, so that the energy of random
weights is not that of trained ones: whatever is measured with it must say `random weights`.
"""

import json
import random
import sys
import time
from pathlib import Path

SHAPES = {
    # HuggingFaceTB/SmolLM2-1.7B, config.json
    "smollm2-1.7b": {
        "model_type": "llama",
        "vocab_size": 49152,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 24,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
    },
    # Qwen/Qwen3-8B, config.json
    "qwen3-8b": {
        "model_type": "qwen3",
        "vocab_size": 151936,
        "hidden_size": 4096,
        "intermediate_size": 12288,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 40960,
        "tie_word_embeddings": False,
    },
    # Of no public model: for a rehearsal on a CPU.
    "tiny": {
        "model_type": "llama",
        "vocab_size": 4096,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 1024,
        "tie_word_embeddings": True,
    },
}
SEED = 1
UNKNOWN, END = "<unk>", "</s>"


def make(architecture: str, folder: Path, words: Path) -> dict[str, object]:
    """Write the folder, and return what it holds."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    shape = dict(SHAPES[architecture])
    config = AutoConfig.for_model(shape.pop("model_type"), bos_token_id=1, eos_token_id=1, **shape)
    torch.manual_seed(SEED)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    tokenizer(words.read_text(encoding="utf-8"), int(shape["vocab_size"])).save_pretrained(folder)
    return {
        "weights": "random weights",
        "architecture": architecture,
        "parameters": model.num_parameters(),
        "dtype": str(model.dtype).removeprefix("torch."),
        "made_on": device,
    }


def tokenizer(text: str, vocabulary: int):
    """Return a tokenizer of whole words, which gives each a random id of the vocabulary."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    split = pre_tokenizers.Whitespace()
    known = sorted({word for word, _ in split.pre_tokenize_str(text)})[: vocabulary - 2]
    ids = random.Random(SEED).sample(range(2, vocabulary), len(known))
    table = {UNKNOWN: 0, END: 1, **dict(zip(known, ids, strict=True))}
    words = Tokenizer(models.WordLevel(table, unk_token=UNKNOWN))
    words.pre_tokenizer = split
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token=UNKNOWN, eos_token=END)


if __name__ == "__main__":
    started_s = time.monotonic()
    name, target, source = sys.argv[1:]
    made = make(name, Path(target), Path(source))
    print(json.dumps(made | {"seconds": round(time.monotonic() - started_s, 1)}))
