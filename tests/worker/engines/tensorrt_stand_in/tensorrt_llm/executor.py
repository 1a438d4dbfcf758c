"""The executor: a thread that gives every request in flight one token a step."""

import queue
import random
import threading
import time
from dataclasses import dataclass, field

from tensorrt_llm.arguments import TorchLlmArgs
from tensorrt_llm.result import RequestOutput, Response
from tensorrt_llm.sampling import SamplingParams

VOCABULARY = 256
END_ID = 0
STEP_S = 0.001


@dataclass
class Running:
    answer: RequestOutput
    sampling: SamplingParams
    streaming: bool
    waiting: list[int] = field(default_factory=list)
    """Tokens not sent yet."""
    count: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{self.sampling.seed} {self.answer.prompt_token_ids}")

    def step(self, stream_interval: int) -> bool:
        """Produce a token; returns whether it was the last one."""
        if self.sampling.greedy:
            token = (sum(self.answer.prompt_token_ids) + self.count) % VOCABULARY
        else:
            token = self.chance.randrange(VOCABULARY)
        self.count += 1
        self.waiting.append(token)
        reason = "length" if self.count == self.sampling.max_tokens else None
        if token == END_ID and not self.sampling.ignore_eos:
            reason = "stop"
        if reason or (self.streaming and self.count % stream_interval == 0):
            self.answer.put(Response(self.waiting, reason))
            self.waiting = []
        return reason is not None


class Executor:
    def __init__(self, arguments: TorchLlmArgs, memory_tokens: int | None) -> None:
        """`memory_tokens`: how many tokens the cache of keys and values holds."""
        self._arguments = arguments
        self._memory_tokens = memory_tokens
        self._new: queue.SimpleQueue[Running | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def submit(self, running: Running) -> None:
        self._new.put(running)

    def shutdown(self) -> None:
        self._new.put(None)
        self._thread.join()

    def _serve(self) -> None:
        waiting: list[Running] = []
        active: list[Running] = []
        while True:
            while not self._new.empty() or not (waiting or active):
                running = self._new.get()
                if running is None:
                    return
                waiting.append(running)
            waiting = [running for running in waiting if not running.answer.aborted]
            active = [running for running in active if not running.answer.aborted]
            room = (self._arguments.max_batch_size or 1) - len(active)
            active += waiting[:room]
            del waiting[:room]
            time.sleep(STEP_S)
            if self._memory_tokens is not None and self._tokens(active) > self._memory_tokens:
                words = "CUDA out of memory. Tried to allocate 48.00 MiB."
                for running in active + waiting:
                    running.answer.put(Response(error=words))
                active, waiting = [], []
            active = [r for r in active if not r.step(self._arguments.stream_interval)]

    @staticmethod
    def _tokens(active: list[Running]) -> int:
        return sum(len(r.answer.prompt_token_ids) + r.count for r in active)
