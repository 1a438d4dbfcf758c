"""One question, one JSON line; what engines print stays off the answer."""

from pathlib import Path

import pytest
from tests.worker.backend import ask_oneshot


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    return str(path)


def test_describes_an_environment(scripts_with_sleep: Path) -> None:
    question = {"op": "describe", "backend": "sleep"}
    answer, code = ask_oneshot(question, scripts=scripts_with_sleep)
    assert code == 0
    assert answer["engine_version"] == "1.0"
    assert answer["python_version"].startswith("3.")


def test_makes_token_ids_of_texts(scripts_with_sleep: Path, model: str) -> None:
    question = {"op": "tokenize", "backend": "sleep", "model_path": model, "texts": ["hi", ""]}
    plain, _ = ask_oneshot({**question, "template_date": None}, scripts=scripts_with_sleep)
    assert plain == {"token_ids": [[104, 105], []]}
    chat, _ = ask_oneshot({**question, "template_date": "2026-01-01"}, scripts=scripts_with_sleep)
    assert chat["token_ids"][0] == list(b"<user>hi</user>")


def test_makes_texts_of_token_ids(scripts_with_sleep: Path, model: str) -> None:
    question = {"op": "texts", "backend": "sleep", "model_path": model}
    ids = [[104, 105], list("né".encode())]
    answer, _ = ask_oneshot({**question, "token_ids": ids}, scripts=scripts_with_sleep)
    assert answer == {"texts": ["hi", "né"]}
    answer, code = ask_oneshot({**question, "token_ids": [[195]]}, scripts=scripts_with_sleep)
    assert code == 1
    assert answer["error"].startswith("prompt 0: its 1 tokens are 3 when their text is split again")


@pytest.mark.parametrize(
    ("question", "error"),
    [
        ({}, "op: must be one of describe, tokenize, texts, convert, not None"),
        ({"op": "describe"}, "describe.backend: missing"),
        ({"op": "describe", "backend": "nothing"}, "there is no backend 'nothing'"),
        ({"op": "describe", "backend": "../oneshot"}, "there is no backend '../oneshot'"),
        (
            {"op": "convert", "source": "/nowhere", "target": "/nowhere", "dtype": "float32"},
            "/nowhere: not a GGUF file",
        ),
        (
            {"op": "convert", "source": "/nowhere", "target": "/nowhere", "dtype": "int4"},
            "dtype: must be one of float32, bfloat16, float16, not 'int4'",
        ),
    ],
)
def test_a_failure_is_one_line_and_exit_code_1(question: dict[str, object], error: str) -> None:
    assert ask_oneshot(question) == ({"error": error}, 1)


def test_an_exception_of_an_engine_is_one_line_too(scripts_with_sleep: Path) -> None:
    question = {"op": "tokenize", "backend": "sleep", "model_path": "/nowhere"}
    answer, code = ask_oneshot(
        {**question, "texts": ["hi"], "template_date": None}, scripts=scripts_with_sleep
    )
    assert code == 1
    assert answer["error"].startswith("FileNotFoundError")
