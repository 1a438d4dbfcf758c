"""The adapter of TensorRT-LLM in an engine process, on the stand-in of its API."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.worker.backend import ROOT, Backend, Peer, ask_oneshot, measured_open
from tests.worker.engines.reference import (
    GRAVITY_IDS,
    QUESTION,
    QUESTION_IDS,
    measure,
    outputs,
)
from tests.worker.engines.tensorrt import STAND_IN, expected, model

__all__ = ["model"]


@pytest.fixture
def peer(short_folder: Path) -> Iterator[Peer]:
    """A supervisor whose engine processes find the stand-in."""
    scripts = Path(os.pathsep.join([str(ROOT / "scripts"), str(STAND_IN)]))
    backend = Backend(short_folder, scripts=scripts, python=sys.executable)
    peer = backend.connect()
    yield peer
    peer.close()
    backend.stop()


@pytest.mark.parametrize("mode", ["waves", "closed"])
def test_measures_in_an_engine_process(peer: Peer, model: Callable[..., Path], mode: str) -> None:
    engine = {"backend": "tensorrt", "model_path": str(model()), "dtype": "auto"}
    told = peer.load(**engine, context_tokens=128, slots=2)
    assert told["engine_version"] == "tensorrt_llm 1.2.1"
    measured = measure(peer, [[1, 2], [3]], mode=mode, minimum_waves=2)
    assert outputs(measured) == [expected([1, 2], 7), expected([3], 7)]
    for one in measured["requests"]:
        times = [one["submitted"], *one["token_times"]]
        assert times == sorted(times)
        assert len(set(times)) == 8
    assert peer.ask("unload")["event"] == "unloaded"


def test_requests_that_arrive_at_a_rate(peer: Peer, model: Callable[..., Path]) -> None:
    """Far more than it can serve: those after the window are aborted, and the engine is idle."""
    engine = {"backend": "tensorrt", "model_path": str(model()), "dtype": "auto"}
    peer.load(**engine, context_tokens=128, slots=2)
    measured = measured_open(
        peer, rate=100.0, prompts=[[1, 2], [3]], output_tokens=40, minimum_duration_s=0.2
    )
    start, end = measured["window"]["start"], measured["window"]["end"]
    counted = [r for r in measured["requests"] if start <= r["scheduled"] <= end]
    assert counted
    assert {len(r["token_times"]) for r in counted} == {40}
    assert outputs(measure(peer, [[1, 2], [3]])) == [expected([1, 2], 7), expected([3], 7)]


@pytest.mark.parametrize("worker", ["says", "prints"])
def test_out_of_memory_is_reported_as_such(
    peer: Peer, model: Callable[..., Path], worker: str
) -> None:
    folder = model(stand_in_memory_tokens=64, stand_in_dies=worker == "prints")
    engine = {"backend": "tensorrt", "model_path": str(folder), "dtype": "auto"}
    error = peer.load(**engine, context_tokens=128, slots=2)
    assert error["reason"] == "out_of_memory", error


@pytest.mark.engine
def test_tokenizes_with_the_models_chat_template(pytorch_python: str, hf_folder: Path) -> None:
    question = {"op": "tokenize", "backend": "tensorrt", "model_path": str(hf_folder)}
    chat = {**question, "texts": [QUESTION], "template_date": "2026-01-01"}
    assert ask_oneshot(chat, python=pytorch_python)[0] == {"token_ids": [QUESTION_IDS]}
    plain = {**question, "texts": ["Gravity is"], "template_date": None}
    assert ask_oneshot(plain, python=pytorch_python)[0] == {"token_ids": [GRAVITY_IDS]}
