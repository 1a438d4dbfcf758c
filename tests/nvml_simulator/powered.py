"""Makes an engine drive the simulated GPUs: load while it works, idle otherwise.

Tests put this file into a copy of the tree as scripts/worker/powered.py and wrap an adapter's
class in it. The environment variable NVML_SIMULATOR_LOAD names the scenario's load file, followed
by `-{UUID}` for each GPU that CUDA_VISIBLE_DEVICES gives the engine, which uses all that it sees;
without that, for each that NVML_SIMULATOR_UUIDS names. Beside it, as `{name}.processes`, the
engine's process enters itself for those GPUs that list it. In the wave
NVML_SIMULATOR_LOST_AFTER of an engine `{name}.lost` appears, for those that then fall off.
NVML_SIMULATOR_COMPUTES, such as `1:0.1,4:0.9`, is the share of each step that slows down with the
clock, by batch size; NVML_SIMULATOR_SETTINGS, such as `FILE 100 600`, then names the settings file
of the GPU, and its idle and its full power in W.
"""

import math
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from worker.engines.base import Engine, OnTokens, OpenLoad, Request
from worker.workload import EngineConfig

HOLD_S = 0.5
"""How long the load outlives a wave, so that the moments between waves are no idling, however busy
the machine is."""


def powered(engine: type[Engine]) -> type[Engine]:
    class Powered(engine):  # type: ignore[misc, valid-type]
        def load(self, config: EngineConfig) -> dict[str, Any]:
            for name in load_files():  # also beside an engine of another run
                with Path(f"{name}.processes").open("a") as file:
                    file.write(f"{os.getpid()}\n")
            return super().load(config)  # type: ignore[no-any-return]

        def wave(self, requests: Sequence[Request], on_tokens: OnTokens) -> None:
            self.waves = getattr(self, "waves", 0) + 1
            if self.waves == int(os.environ.get("NVML_SIMULATOR_LOST_AFTER", 0)):
                for name in load_files():
                    Path(f"{name}.lost").touch()
            say(1.0, 0.0)
            if "NVML_SIMULATOR_COMPUTES" in os.environ:
                options = self._options
                self._options = slowed(options, len(requests))
                super().wave(requests, on_tokens)
                self._options = options
            else:
                super().wave(requests, on_tokens)
            say(0.0, HOLD_S)

        def stream(
            self, take: Callable[[], Request | None], slots: int, on_tokens: OnTokens
        ) -> None:
            say(1.0, 0.0)
            super().stream(take, slots, on_tokens)
            say(0.0, HOLD_S)

        def serve(self, load: OpenLoad) -> None:
            busy = Busy(load)
            super().serve(busy)  # type: ignore[arg-type]
            busy.end()

    return Powered


class Busy:
    """An open load under which the GPUs work exactly while a request is in flight."""

    def __init__(self, load: OpenLoad) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._in_flight = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._load, name)

    def due(self, *step: Any) -> Sequence[Request]:
        found = self._load.due(*step)
        with self._lock:
            if found and self._in_flight == 0:
                say(1.0, 0.0)
            self._in_flight += len(found)
        return found

    def on_end(self, request: Request, *rest: Any) -> None:
        self._load.on_end(request, *rest)
        with self._lock:
            self._in_flight -= 1
            if self._in_flight == 0:
                say(0.0, 0.0)

    def end(self) -> None:
        """End the load of requests that were cancelled."""
        say(0.0, 0.0)


def slowed(options: Mapping[str, Any], batch: int) -> Mapping[str, Any]:
    """Return the options of the sleeping engine whose steps take longer at a lower clock."""
    shares = dict(each.split(":") for each in os.environ["NVML_SIMULATOR_COMPUTES"].split(","))
    file, idle_watts, full_watts = os.environ["NVML_SIMULATOR_SETTINGS"].split()
    lines = Path(file).read_text().splitlines() if Path(file).exists() else []
    limit_watts = float(lines[-1].split()[1]) / 1e3 if lines else float(full_watts)
    factor = slowdown(float(shares[str(batch)]), limit_watts, float(idle_watts), float(full_watts))
    return {**options, **{name: factor * options[name] for name in ("token_s", "prefill_s")}}


def slowdown(computes: float, limit_watts: float, idle_watts: float, full_watts: float) -> float:
    """Return the time of a step over its time without a limit.

    Power above idle goes with the square of the clock, which falls until the limit holds; with the
    clock goes the speed of the share of a step that computes.
    """
    clock = min(1.0, math.sqrt((limit_watts - idle_watts) / (full_watts - idle_watts)))
    return 1.0 + computes * (1.0 / clock - 1.0)


def load_files() -> list[str]:
    """Paths of the load files of the GPUs that this process sees."""
    file, every = os.environ["NVML_SIMULATOR_LOAD"], os.environ.get("NVML_SIMULATOR_UUIDS", "")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "") or every
    return [f"{file}-{uuid}" for uuid in visible.split(",")] if visible else [file]


def say(load: float, delay_s: float) -> None:
    """One line of each load file: the load from so many seconds on."""
    for name in load_files():
        with Path(name).open("a") as file:
            file.write(f"{time.monotonic() + delay_s!r} {load!r}\n")
