"""Every adapter can be described without its engine."""

import pytest
from tests.worker.backend import ROOT

from worker.engines.base import Engine, EngineError, Option, find_engine, resolve_options
from worker.workload import MODES

BACKENDS = sorted(
    path.stem for path in (ROOT / "scripts/worker/engines").glob("[a-z]*.py") if path.stem != "base"
)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_adapter_is_described_without_its_engine(backend: str) -> None:
    engine = find_engine(backend)
    assert engine.MODEL_FORMATS
    assert set(engine.MODEL_FORMATS) <= {"gguf", "hf"}
    assert engine.LOAD_MODES
    assert set(MODES) >= engine.LOAD_MODES
    assert "auto" in engine.DTYPES
    for option in engine.OPTIONS.values():
        if option.default is not None:
            assert type(option.default) is option.type
            assert option.default in (option.choices or (option.default,))
        assert option.doc


@pytest.mark.parametrize("backend", BACKENDS)
def test_closed_load_needs_a_stream(backend: str) -> None:
    engine = find_engine(backend)
    assert ("closed" in engine.LOAD_MODES) == (engine.stream is not Engine.stream)


@pytest.mark.parametrize("backend", BACKENDS)
def test_open_load_needs_a_server(backend: str) -> None:
    engine = find_engine(backend)
    assert ("open" in engine.LOAD_MODES) == (engine.serve is not Engine.serve)


@pytest.mark.parametrize("backend", ["base", "nothing", "", "../records", "Llamacpp"])
def test_what_is_no_backend_is_not_found(backend: str) -> None:
    with pytest.raises(EngineError, match="there is no backend"):
        find_engine(backend)


def test_options_are_completed_with_defaults() -> None:
    options = {"threads": Option(int, 1, "CPU threads"), "fast": Option(bool, True, "faster")}
    assert resolve_options(options, {"threads": 4}) == {"threads": 4, "fast": True}
    with pytest.raises(EngineError, match="option threads: must be int"):
        resolve_options(options, {"threads": True})
    with pytest.raises(EngineError, match="option therads: unknown"):
        resolve_options(options, {"therads": 1})
