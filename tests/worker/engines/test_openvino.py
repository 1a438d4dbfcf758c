"""The real OpenVINO GenAI, with the real model of the default campaign."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.worker.backend import ROOT, ask_oneshot
from tests.worker.engines import reference
from tests.worker.engines.conftest import Engines, supervise
from tests.worker.engines.reference import (
    ANSWER_IDS,
    GRAVITY_IDS,
    QUESTION,
    QUESTION_IDS,
    measure,
    outputs,
)

pytestmark = pytest.mark.engine

ALIKE = 6
"""So many tokens of the answer are those of the other engines: the weights are not quite theirs."""

F32 = {"kv_cache_dtype": "f32"}
"""In u8 a batch may change a close token."""

NUMBERS_PER_TOKEN = 30 * 2 * 3 * 64
"""Keys and values: 30 layers, 3 heads of 64."""


@pytest.fixture(scope="module")
def openvino(openvino_python: str) -> Iterator[Engines]:
    yield from supervise(openvino_python, options=F32)


def load(peer: Engines, gguf: str, **changes: Any) -> dict[str, Any]:
    return reference.load(peer, "openvino", gguf, **{"options": F32} | changes)


def test_describes_itself(openvino_python: str) -> None:
    answer, _ = ask_oneshot({"op": "describe", "backend": "openvino"}, python=openvino_python)
    assert answer["engine_version"].startswith("openvino-genai 2026.")


def test_what_reports_over_the_network_is_not_installed(openvino_python: str) -> None:
    code = "import openvino_genai, sys; print([m for m in sys.modules if 'vino_telemetry' in m])"
    done = subprocess.run([openvino_python, "-c", code], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"[]\n"


def test_tokenizes_with_the_models_chat_template(openvino_python: str, gguf: str) -> None:
    model = (openvino_python, "openvino", gguf)
    assert reference.tokenize(*model, QUESTION, chat_template=True) == [QUESTION_IDS]


TOKENIZING = """
import json, os, sys
from worker.engines.base import find_engine

assert not os.access(sys.argv[1], os.W_OK)
ids = find_engine("openvino")().tokenize(sys.argv[1], ["Gravity is"], template_date=None)
json.dump(ids, sys.stdout)
"""


def answer_without_rights(python: str, code: str, model: Path) -> Any:
    """Run a program on a model that it may not write; return the JSON that it prints."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    command = [python, "-c", code, str(model)]
    if os.getuid() == 0:  # root may write all the same, but not in a container of ours
        command = ["setpriv", "--bounding-set=-dac_override", *command]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def test_a_model_may_be_read_only(openvino_python: str, gguf: str, tmp_path: Path) -> None:
    model = Path(shutil.copy(gguf, tmp_path))
    model.chmod(0o444)
    assert answer_without_rights(openvino_python, TOKENIZING, model) == [GRAVITY_IDS]


COPYING = """
import json, sys
from pathlib import Path
from worker.engines.openvino import _writable

with _writable(sys.argv[1]) as path:
    json.dump(sorted(file.name for file in Path(path).parent.iterdir()), sys.stdout)
"""


def test_a_read_only_model_in_parts_is_copied_whole(tmp_path: Path) -> None:
    parts = [tmp_path / f"m-0000{number}-of-00002.gguf" for number in (1, 2)]
    for part in parts:
        part.touch(0o444)
    copied = answer_without_rights(sys.executable, COPYING, parts[0])
    assert copied == [part.name for part in parts]


def test_observes_the_live_engine(openvino: Engines, gguf: str) -> None:
    loaded = load(openvino, gguf)
    assert loaded["observed"]["device"]
    slots, context_tokens, bytes_of_f32 = 4, 256, 4
    wanted = NUMBERS_PER_TOKEN * bytes_of_f32 * slots * context_tokens
    assert loaded["observed"]["kv_cache_bytes"] == wanted
    assert loaded["observed"]["kv_cache_dtype"] == "f32"
    assert loaded["observed"]["inference_precision"] == "f32"
    assert loaded["observed"]["threads"] == 1
    assert loaded["observed"]["cpu_instructions"]


def test_a_precision_that_the_cpu_lacks_is_an_error(openvino: Engines, gguf: str) -> None:
    # OpenVINO computes in another one without a word.
    for precision in ("bf16", "f16"):
        options = {"kv_cache_dtype": "u8", "inference_precision": precision}
        loaded = load(openvino, gguf, options=options)
        if loaded["event"] == "loaded":
            assert loaded["observed"]["inference_precision"] == precision
        else:
            message = f"inference_precision {precision}: OpenVINO computes in "
            assert loaded["message"].startswith(message)


def test_keys_and_values_in_f16_are_recorded_in_the_format_that_is_kept(
    openvino: Engines, gguf: str
) -> None:
    observed = load(openvino, gguf, options={"kv_cache_dtype": "f16"})["observed"]
    kept = "bf16" if observed["inference_precision"] == "bf16" else "f16"
    assert observed["kv_cache_dtype"] == kept


@pytest.mark.parametrize(("computes", "keeps"), [("bf16", "f32"), ("f16", "f32"), ("bf16", "f16")])
def test_precisions_that_exclude_each_other_are_an_error(
    openvino: Engines, gguf: str, computes: str, keeps: str
) -> None:
    options = {"kv_cache_dtype": keeps, "inference_precision": computes}
    error = load(openvino, gguf, options=options)
    assert error["message"] == (
        f"option inference_precision: {computes} cannot be combined with kv_cache_dtype {keeps}; "
        "set it to f32"
    )


def test_says_what_the_model_says(openvino: Engines, gguf: str) -> None:
    load(openvino, gguf)
    assert outputs(measure(openvino, [QUESTION_IDS]))[0][:ALIKE] == ANSWER_IDS[:ALIKE]


def test_a_batch_says_what_each_prompt_says_alone(openvino: Engines, gguf: str) -> None:
    load(openvino, gguf)
    together = outputs(measure(openvino, [QUESTION_IDS, GRAVITY_IDS, QUESTION_IDS, GRAVITY_IDS]))
    assert together[0] == outputs(measure(openvino, [QUESTION_IDS]))[0]
    assert together[1] == outputs(measure(openvino, [GRAVITY_IDS]))[0]


def test_ends_with_the_requested_number_of_tokens_and_not_at_the_end_of_text(
    openvino: Engines, gguf: str
) -> None:
    load(openvino, gguf)
    measured = measure(openvino, [QUESTION_IDS, GRAVITY_IDS], output_tokens=32)
    reference.check_every_token_is_counted(measured, 32)
    end_of_text = 2
    assert end_of_text in outputs(measured)[0][:-1]


def test_tokens_of_a_batch_come_step_by_step(openvino: Engines, gguf: str) -> None:
    load(openvino, gguf)
    measured = measure(openvino, [QUESTION_IDS, GRAVITY_IDS])
    first, second = (request["token_times"] for request in measured["requests"])
    assert len(set(first)) == len(first)
    assert all(a <= b for a, b in zip(first, second, strict=True))  # one step, in turn
    assert all(b < a for a, b in zip(first[1:], second, strict=False))


def test_sampling_is_repeatable_by_its_seed(openvino: Engines, gguf: str) -> None:
    load(openvino, gguf)
    reference.check_sampling_repeats(openvino)


def test_a_constant_stream_of_requests(openvino: Engines, gguf: str) -> None:
    load(openvino, gguf)
    measured = measure(openvino, [QUESTION_IDS, GRAVITY_IDS], mode="closed", minimum_waves=2)
    assert measured["window"]["passes"] is None
    assert sum(r["counted"] for r in measured["requests"]) >= 2 * 2 * 7
    reference.check_slots_are_busy(measured, 2)
    assert outputs(measured)[0][:ALIKE] == ANSWER_IDS[:ALIKE]


def test_requests_that_arrive_at_a_rate(openvino: Engines, gguf: str) -> None:
    load(openvino, gguf)
    reference.check_open_load(openvino)


STEPPING = """
import json, os, sys
os.environ.update(OPENVINO_LOG_LEVEL="3")  # as the engine process sets it
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
from worker.engines.base import Request, find_engine, resolve_options
from worker.workload import EngineConfig, Sampling

engine = find_engine("openvino")()
options = resolve_options(engine.OPTIONS, {"batch_tokens": 16})
observed = engine.load(EngineConfig("openvino", sys.argv[1], "auto", 64, 1, options=options))

class Counted:
    steps, pipeline = 0, engine._pipeline
    def __getattr__(self, name):
        self.steps += name == "step"
        return getattr(self.pipeline, name)

steps, tokens = [], []
for each_token in (True, True, False):
    engine.each_token, engine._pipeline = each_token, Counted()
    request = Request(0, tuple(range(100, 148)), 4, Sampling())
    engine.wave([request], lambda request, ids: tokens.append(ids))
    steps.append(engine._pipeline.steps)

import openvino
default = openvino.Core().get_property("CPU", "INFERENCE_PRECISION_HINT").get_type_name()
json.dump([observed, default, steps, [len(ids) for ids in tokens]], answers)
"""


def test_settings_reach_the_engine_and_a_prompt_is_computed_anew_each_time(
    openvino_python: str, gguf: str
) -> None:
    # 48 tokens take three steps of 16, the last of which gives the first of 4 tokens. With prefix
    # caching the second time takes fewer.
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    command = [openvino_python, "-c", STEPPING, gguf]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    observed, default_precision, steps, handed_over = json.loads(done.stdout)
    numbers = NUMBERS_PER_TOKEN * 64  # of one byte each, and their scales
    assert numbers < observed["kv_cache_bytes"] < 2 * numbers
    assert observed["kv_cache_dtype"] == "u8"
    assert observed["inference_precision"] == default_precision
    assert steps == [6, 6, 6]
    assert handed_over == [1] * 8 + [4]


def test_what_is_no_model_is_an_error_in_openvinos_words(openvino: Engines, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(100))
    error = load(openvino, str(broken))
    assert error["reason"] == "engine_error"
    assert error["message"] == f"OpenVINO cannot load {broken}: unordered_map::at"


def test_keys_and_values_that_do_not_fit_are_out_of_memory(openvino: Engines, gguf: str) -> None:
    # They take 46 kB a token in f32: 97 GB, more than this process is allowed to have.
    error = load(openvino, gguf, context_tokens=8192, slots=256)
    assert error["reason"] == "out_of_memory", error
