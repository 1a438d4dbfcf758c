"""A backend for tests: an engine that sleeps as long as it is told, and misbehaves on request.

Its output tokens are computed from the prompt, so that a test can say what they must be. Tests put
this file into a copy of the tree as scripts/worker/engines/sleep.py; the product does not have it.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

from worker.engines.base import Engine, OnTokens, OpenLoad, Option, Request
from worker.workload import EngineConfig

VOCABULARY = 256
FAULTS = ("none", "raise", "die", "segfault", "oom", "hang", "flood", "short")
FAULTS += ("kill", "eat", "betray", "confess")


class SleepEngine(Engine):
    OPTIONS: ClassVar[Mapping[str, Option]] = {
        "load_s": Option(float, 0.0, "how long loading takes, in s", minimum=0.0),
        "prefill_s": Option(float, 0.002, "time to the first token, in s", minimum=0.0),
        "token_s": Option(
            float, 0.001, "time for each further token of a batch, in s", minimum=0.0
        ),
        "first_wave_extra_s": Option(float, 0.0, "what the first wave takes longer (it compiles)"),
        "child": Option(bool, False, "start a child process while loading, as some engines do"),
        "child_session": Option(bool, False, "start that child in a session of its own"),
        "load_fault": Option(str, "none", "how loading fails", choices=FAULTS),
        "wave_fault": Option(str, "none", "how generating fails", choices=FAULTS),
        "fault_after_waves": Option(int, 0, "waves that go well before `wave_fault`", minimum=0),
        "fault_once_file": Option(str, "", "a file: faults happen only while it does not exist"),
    }
    MODEL_FORMATS: ClassVar[tuple[str, ...]] = ("gguf", "hf")
    LOAD_MODES: ClassVar[frozenset[str]] = frozenset({"waves", "closed", "open"})
    DTYPES: ClassVar[tuple[str, ...]] = ("auto", "float32")

    def __init__(self) -> None:
        self._options: Mapping[str, Any] = {}
        self._waves = 0
        self._slots = 1

    def load(self, config: EngineConfig) -> dict[str, Any]:
        size = Path(config.model_path).stat().st_size
        self._options = config.options
        self._slots = config.slots
        print("sleep engine: loading", config.model_path, flush=True)
        if self._options["child"]:
            own_session = self._options["child_session"]
            child = subprocess.Popen(["sleep", "3600"], start_new_session=own_session)
            print("sleep engine: child", child.pid, flush=True)
        self._misbehave(self._options["load_fault"])
        time.sleep(self._options["load_s"])
        return {"model_bytes": size, "slots": config.slots, "context_tokens": config.context_tokens}

    def version(self) -> str:
        return "1.0"

    def wave(self, requests: Sequence[Request], on_tokens: OnTokens) -> None:
        self._begin_wave()
        for step in range(requests[0].output_tokens - self._missing_tokens()):
            time.sleep(self._options["token_s" if step else "prefill_s"])
            for request in requests:
                on_tokens(request, [output_id(request.prompt, step)])

    def stream(self, take: Callable[[], Request | None], slots: int, on_tokens: OnTokens) -> None:
        def slot() -> None:
            while request := take():
                for step in range(request.output_tokens - self._missing_tokens()):
                    time.sleep(self._options["token_s" if step else "prefill_s"])
                    on_tokens(request, [output_id(request.prompt, step)])

        self._begin_wave()
        threads = [threading.Thread(target=slot) for _ in range(slots)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def serve(self, load: OpenLoad) -> None:
        """Decode each request in a slot of its own; others wait for a free one."""
        free, over = threading.Semaphore(self._slots), threading.Event()

        def answer(request: Request) -> None:
            with free:
                for step in range(request.output_tokens - self._missing_tokens()):
                    if over.is_set():
                        return
                    time.sleep(self._options["token_s" if step else "prefill_s"])
                    load.on_tokens(request, [output_id(request.prompt, step)])
            load.on_end(request)

        self._begin_wave()
        threads = []
        while (wait_s := load.wait_s()) is not None:
            time.sleep(wait_s)
            for request in load.due():
                threads.append(threading.Thread(target=answer, args=[request]))
                threads[-1].start()
        over.set()
        for thread in threads:
            thread.join()

    def tokenize(
        self, model_path: str, texts: Sequence[str], *, template_date: date | None
    ) -> list[list[int]]:
        Path(model_path).stat()  # raises where there is none
        return [list(f"<user>{t}</user>".encode() if template_date else t.encode()) for t in texts]

    def detokenize(self, model_path: str, token_ids: Sequence[Sequence[int]]) -> list[str]:
        Path(model_path).stat()
        return [bytes(ids).decode(errors="replace") for ids in token_ids]

    def _begin_wave(self) -> None:
        if self._waves == 0:
            time.sleep(self._options["first_wave_extra_s"])
        if self._waves >= self._options["fault_after_waves"]:
            self._misbehave(self._options["wave_fault"])
        self._waves += 1

    def _missing_tokens(self) -> int:
        return 1 if self._options["wave_fault"] == "short" else 0

    def _misbehave(self, fault: str) -> None:
        once = self._options["fault_once_file"]
        if fault == "none" or (once and Path(once).exists()):
            return
        if once:
            Path(once).touch()
        print(f"sleep engine: fault {fault}", flush=True)
        if fault == "raise":
            raise RuntimeError("the sleep engine was told to raise")
        if fault == "confess":
            print("sleep engine: environment", sorted(os.environ.items()), flush=True)
            raise RuntimeError("the sleep engine printed its environment")
        if fault == "oom":
            raise MemoryError("the sleep engine was told to run out of memory")
        if fault == "betray":
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(3600)
        if fault == "eat":
            eaten = []
            while True:  # until a memory limit ends it
                eaten.append(os.urandom(1 << 20))
        if fault == "die":
            os._exit(7)
        if fault in ("segfault", "kill"):
            os.kill(os.getpid(), signal.SIGSEGV if fault == "segfault" else signal.SIGKILL)
        if fault == "flood":
            for number in range(20_000):
                print(f"sleep engine: flood {number:05d}", "x" * 100)
        if fault == "hang":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
            while True:
                time.sleep(3600)


def output_id(prompt: Sequence[int], step: int) -> int:
    """The token that this engine produces for a prompt at a step."""
    return (sum(prompt) + step) % VOCABULARY


ENGINE = SleepEngine
