"""Which files of a repository or folder an engine needs, by the format of the weights."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from llm_energy.system.errors import ModelError
from worker.gguf import part_names

CONFIGURATION = ("*.json", "*.model", "*.jinja", "*.txt", "*.tiktoken")
"""Files beside the weights in the Transformers format: configuration, tokenizer, template."""


def files_needed(names: Sequence[str], *, patterns: Sequence[str] | None, what: str) -> list[str]:
    """The files to fetch of all that a repository has, sorted.

    Without `patterns`: the top folder's configuration and tokenizer, and its weights as
    safetensors, once: where `model*.safetensors` stands beside the same weights in another
    layout, only that; never pickled duplicates (`*.bin`, `*.pth`), which run code when read.

    Args:
        patterns: of the file names wanted, as the campaign declares them; `*` crosses folders.
        what: the repository, for messages.
    """
    if patterns is not None:
        chosen = sorted({name for name in names for p in patterns if fnmatchcase(name, p)})
        if not chosen:
            raise ModelError(f"{what} has no file like {', '.join(patterns)}; correct `files`")
        return sorted({part for name in chosen for part in all_parts(name, names, what=what)})
    top = [name for name in names if "/" not in name and not name.startswith(".")]
    weights = [name for name in top if name.endswith(".safetensors")]
    weights = [name for name in weights if name.startswith("model")] or weights
    if not weights:
        raise ModelError(
            f"{what} has no safetensors weights; name the files to fetch with `files`, such as "
            "[model.gguf]"
        )
    described = [n for n in top if any(fnmatchcase(n, p) for p in CONFIGURATION)]
    return sorted({*weights, *described})


def main_file(names: Sequence[str], *, what: str) -> str:
    """The GGUF file to load of those fetched: the only one, or the first of all its parts."""
    models = sorted(name for name in names if name.endswith(".gguf"))
    if not models or any(part_names(name) != part_names(models[0]) for name in models):
        found = ", ".join(models) if models else "none"
        raise ModelError(f"{what}: exactly one GGUF model is needed, found: {found}; name it")
    return all_parts(models[0], models, what=what)[0]


def all_parts(name: str, names: Sequence[str], *, what: str) -> list[str]:
    """Return the files of the model that a GGUF file belongs to, which must be among `names`."""
    parts = part_names(name)
    if missing := sorted({*parts} - {*names}):
        raise ModelError(f"{what}: its part {missing[0]} is missing; it has {len(parts)} parts")
    return parts
