"""Measurements on the sleeping engine in this process."""

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.backends.sleep.sleep import SleepEngine
from tests.worker.backend import workload

from worker.harness import measure
from worker.protocol import encode as line
from worker.protocol import parse_request
from worker.workload import EngineConfig, Workload

Report = dict[str, Any]


@pytest.fixture
def config(tmp_path: Path) -> EngineConfig:
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF")
    options = {name: option.default for name, option in SleepEngine.OPTIONS.items()}
    return EngineConfig("sleep", str(model), "auto", context_tokens=64, slots=4, options=options)


class Clock:
    """Time that passes in sleeps only, and a moment at each look at it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.jitter = 0.0
        """Every third sleep takes so much longer, relative."""
        self._sleeps = 0

    def monotonic(self) -> float:
        self.now += 1e-6
        return self.now

    def sleep(self, seconds: float) -> None:
        self._sleeps += 1
        self.now += seconds * (1.0 + self.jitter * (self._sleeps % 3 == 0))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replaces the clock of this process, whose load would else decide."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    monkeypatch.setattr(time, "sleep", clock.sleep)
    return clock


def run(
    config: EngineConfig, *, host_says: Iterable[bool] = (), **changes: Any
) -> tuple[Report, list[Report]]:
    """The report and the events on the way of one measurement."""
    engine = SleepEngine()
    engine.load(config)
    events: list[Report] = []
    verdicts = iter(host_says)
    report = measure(
        engine,
        config,
        read(**changes),
        emit=events.append,
        host_steady=lambda: next(verdicts, True),
    )
    return report, events


def read(**changes: Any) -> Workload:
    request = {"op": "measure", "deadline_s": 1, "workload": workload(**changes)}
    load: Workload = parse_request(line(request)).workload  # type: ignore[union-attr]
    return load


def with_options(config: EngineConfig, **options: Any) -> EngineConfig:
    return replace(config, options={**config.options, **options})
