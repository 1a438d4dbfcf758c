"""Chat templates that print the date, that cannot be read, and that are not there."""

import json
from pathlib import Path

import pytest
from tests.worker.backend import ask_oneshot
from tests.worker.engines import reference
from tests.worker.engines.conftest import Engines, MakeGguf
from tests.worker.engines.reference import GRAVITY_IDS, measure, tokenize

pytestmark = pytest.mark.engine

DATED = """\
  {%- if date_string is not defined %}{%- set date_string = "none" %}{%- endif %}
  {%- for message in messages %}
  {{- message.role }} on {{ strftime_now("%A, %-d %B %Y (%d %b, %H:%M)") }}, {{ date_string }}:
  {{- message.content }}
  {%- endfor %}
"""

PRINTED = "user on Thursday, 1 January 2026 (01 Jan, 00:00), none:Gravity is"
"""As Transformers renders it on 1 January 2026."""

BROKEN = "{% for message in messages %}{{ message.content | nothing("


def test_every_engine_prints_the_same_date_whenever_it_renders(
    llamacpp_python: str,
    openvino_python: str,
    pytorch_python: str,
    make_gguf: MakeGguf,
    hf_folder: Path,
    tmp_path: Path,
) -> None:
    model = make_gguf(DATED)
    folder = tmp_path / "hf"
    folder.mkdir()
    for file in hf_folder.iterdir():
        (folder / file.name).symlink_to(file)
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        (folder / name).unlink(missing_ok=True)
    content = json.loads((hf_folder / "tokenizer_config.json").read_text())
    content["chat_template"] = DATED
    (folder / "tokenizer_config.json").write_text(json.dumps(content))
    expected = tokenize(llamacpp_python, "llamacpp", model, PRINTED, chat_template=False)
    asked = [(llamacpp_python, "llamacpp", model), (openvino_python, "openvino", model)]
    asked.append((pytorch_python, "pytorch", folder))
    for engine in asked:
        assert tokenize(*engine, "Gravity is", chat_template=True) == expected, engine


@pytest.mark.parametrize("backend", ["llamacpp", "openvino"])
def test_a_model_without_a_template_is_named_and_gets_no_other_models(
    backend: str, request: pytest.FixtureRequest, make_gguf: MakeGguf
) -> None:
    model = make_gguf("none")
    question = {"op": "tokenize", "backend": backend, "model_path": str(model), "texts": ["a"]}
    answer, _ = ask_oneshot(
        {**question, "template_date": "2026-01-01"},
        python=request.getfixturevalue(f"{backend}_python"),
    )
    assert answer == {
        "error": f"{model}: the model has no chat template; set `chat_template: false`, or take a "
        "model that has one"
    }


def test_a_template_that_llamacpp_cannot_read_matters_only_where_it_is_rendered(
    llamacpp: Engines, llamacpp_python: str, make_gguf: MakeGguf
) -> None:
    model = make_gguf(BROKEN)
    plain = tokenize(llamacpp_python, "llamacpp", model, "Gravity is", chat_template=False)
    assert plain == [GRAVITY_IDS]
    assert reference.load(llamacpp, "llamacpp", model, slots=2)["event"] == "loaded"
    assert measure(llamacpp, [GRAVITY_IDS])["event"] == "measured"
    question = {"op": "tokenize", "backend": "llamacpp", "model_path": str(model), "texts": ["a"]}
    answer, _ = ask_oneshot({**question, "template_date": "2026-01-01"}, python=llamacpp_python)
    assert answer["error"].startswith(f"llama.cpp cannot load {model}: common_chat_templates_init")


def test_a_model_in_parts_is_loaded_whole(llamacpp: Engines, make_gguf: MakeGguf) -> None:
    whole = make_gguf("own")
    reference.load(llamacpp, "llamacpp", whole, slots=1)
    expected = reference.outputs(measure(llamacpp, [GRAVITY_IDS]))
    first = make_gguf("own", tensors=4)
    assert first.name == "small-00001-of-00003.gguf", sorted(first.parent.iterdir())
    reference.load(llamacpp, "llamacpp", first, slots=2)
    assert reference.outputs(measure(llamacpp, [GRAVITY_IDS])) == expected
