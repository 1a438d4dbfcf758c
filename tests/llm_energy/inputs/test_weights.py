"""Which files an engine needs of all that a repository has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_energy.inputs.weights import files_needed, main_file
from llm_energy.system.errors import ModelError

TYPICAL = [
    ".gitattributes",
    "README.md",
    "config.json",
    "generation_config.json",
    "merges.txt",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
    "model.safetensors.index.json",
    "onnx/model.onnx",
    "original/consolidated.00.pth",
    "pytorch_model.bin",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "chat_template.jinja",
]


def needed(names: list[str], patterns: list[str] | None = None) -> list[str]:
    return files_needed(names, patterns=patterns, what="hub:org/name")


def test_configuration_tokenizer_and_safetensors_are_needed_and_nothing_else() -> None:
    unneeded = {".gitattributes", "README.md", "onnx/model.onnx", "pytorch_model.bin"}
    unneeded |= {"original/consolidated.00.pth"}
    assert needed(TYPICAL) == sorted(set(TYPICAL) - unneeded)


def test_the_same_weights_in_another_layout_are_not_fetched_twice() -> None:
    names = ["config.json", "consolidated.safetensors", "model.safetensors"]
    assert needed(names) == ["config.json", "model.safetensors"]


def test_weights_of_another_name_are_taken_where_there_are_no_others() -> None:
    assert needed(["config.json", "weights.safetensors"]) == ["config.json", "weights.safetensors"]


def test_pickled_weights_alone_are_refused_with_the_way_to_name_files() -> None:
    with pytest.raises(
        ModelError, match=r"hub:org/name has no safetensors weights; name .*`files`"
    ):
        needed(["config.json", "pytorch_model.bin"])


def test_patterns_choose_the_files_when_they_are_given() -> None:
    assert needed([*TYPICAL, "a.Q4.gguf", "sub/b.gguf"], ["*.gguf"]) == ["a.Q4.gguf", "sub/b.gguf"]


def test_a_pattern_that_no_file_matches_is_refused() -> None:
    with pytest.raises(ModelError, match=r"has no file like \*\.gguf, x; correct `files`"):
        needed(TYPICAL, ["*.gguf", "x"])


@given(st.permutations(TYPICAL))
def test_the_choice_does_not_depend_on_the_order_of_the_list(names: list[str]) -> None:
    assert needed(names) == needed(TYPICAL)


def test_the_only_gguf_file_is_the_model() -> None:
    assert main_file(["README.md", "m.gguf"], what="m") == "m.gguf"


def test_a_model_in_several_gguf_files_is_loaded_by_its_first() -> None:
    assert main_file(["m-00002-of-00002.gguf", "m-00001-of-00002.gguf"], what="m") == (
        "m-00001-of-00002.gguf"
    )


@pytest.mark.parametrize(
    ("names", "found"), [(["a.gguf", "b.gguf"], "a.gguf, b.gguf"), (["README.md"], "none")]
)
def test_several_models_or_none_are_refused(names: list[str], found: str) -> None:
    with pytest.raises(ModelError, match=f"exactly one GGUF model is needed, found: {found}"):
        main_file(names, what="m")


@pytest.mark.parametrize("name", ["m-00001-of-00000.gguf", "m-00003-of-00002.gguf"])
def test_a_name_that_only_looks_like_a_part_is_a_whole_model(name: str) -> None:
    assert main_file([name], what="m") == name
    assert needed([name], ["*"]) == [name]


def test_a_part_brings_all_others() -> None:
    names = [f"m-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    assert needed([*names, "x.gguf"], ["*-00002-of-00003.gguf"]) == names
    with pytest.raises(ModelError, match=r"its part m-00003-of-00003\.gguf is missing"):
        needed(names[:2], ["m-00001*"])


def test_a_model_without_one_of_its_parts_is_refused() -> None:
    with pytest.raises(ModelError, match=r"its part m-00002-of-00002\.gguf is missing"):
        main_file(["m-00001-of-00002.gguf"], what="m")
