"""Two ways to drive vLLM: step by step in this process, or through its own engine process.

Both keep a number of requests in flight and hand tokens over as soon as they are there. `Probe`
runs inside vLLM's workers, wherever they live.
"""

import asyncio
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from worker.engines._feeding import Stepping, serve_tasks
from worker.engines.base import EngineError, OnTokens, OpenLoad, Request

Take = Callable[[], Request | None]
"""The next request, None if there is no more."""

MOST_AT_ONCE = 4096
"""Requests that are submitted between two steps; vLLM itself holds back those without a slot."""

SHUTDOWN_S = 3.0
"""Time that vLLM's engine process has to end by itself: less than the supervisor waits for
all of `close`, so that what is left is released."""


class Loop(ABC):
    """A loaded vLLM engine that generates."""

    def __init__(self) -> None:
        self.each_token = True
        """See `Engine.each_token`."""
        self._numbers = itertools.count()  # vLLM needs a new name for each

    @abstractmethod
    def run(self, take: Take, slots: int, on_tokens: OnTokens) -> None:
        """Keep `slots` requests in flight; return when all requests from `take` are complete."""

    @abstractmethod
    def serve(self, load: OpenLoad) -> None:
        """Submit the requests of an open load when they are due, as `Engine.serve`."""

    @abstractmethod
    def call_workers(self, method: str) -> list[dict[str, Any]]:
        """Return the result of `method` of each worker, in the order of their ranks."""

    @abstractmethod
    def close(self) -> None:
        """End child processes and release shared memory."""

    def _arguments(self, request: Request) -> dict[str, Any]:
        """Return a request as vLLM takes it."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        sampling = request.sampling
        output = RequestOutputKind.DELTA if self.each_token else RequestOutputKind.FINAL_ONLY
        parameters = SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            # A generator of its own for each request costs time, and greedy needs none.
            seed=sampling.seed if sampling.temperature else None,
            max_tokens=request.output_tokens,
            min_tokens=request.output_tokens,
            ignore_eos=True,
            detokenize=False,
            output_kind=output,
        )
        return {
            "request_id": str(next(self._numbers)),
            "prompt": {"prompt_token_ids": list(request.prompt)},
            "parameters": parameters,
        }


class InProcess(Loop):
    """vLLM's engine stepped by us: no other process, no queue."""

    def __init__(self, vllm_config: Any) -> None:
        super().__init__()
        from vllm.v1.engine.llm_engine import LLMEngine

        self._engine = LLMEngine.from_vllm_config(vllm_config, disable_log_stats=True)

    def run(self, take: Take, slots: int, on_tokens: OnTokens) -> None:
        in_flight: dict[str, Request] = {}
        try:
            for _ in range(slots):
                self._submit(take(), in_flight)
            while in_flight:
                for output in self._engine.step():
                    _hand_over(output, in_flight[output.request_id], on_tokens)
                    if output.finished:
                        del in_flight[output.request_id]
                        self._submit(take(), in_flight)
        finally:
            if in_flight:  # it failed; the next wave must find an idle engine
                self._engine.abort_request(list(in_flight))

    def serve(self, load: OpenLoad) -> None:
        in_flight: dict[str, Request] = {}
        loop = Stepping(load)
        try:
            for _ in loop.steps(in_flight.__len__):
                for request in loop.admit(MOST_AT_ONCE):
                    self._submit(request, in_flight)
                for output in self._engine.step() if in_flight else ():
                    request = in_flight[output.request_id]
                    _hand_over(output, request, load.on_tokens)
                    if output.finished:
                        del in_flight[output.request_id]
                        load.on_end(request)
        finally:
            if in_flight:
                self._engine.abort_request(list(in_flight))

    def _submit(self, request: Request | None, in_flight: dict[str, Request]) -> None:
        if request is not None:
            arguments = self._arguments(request)
            in_flight[arguments["request_id"]] = request
            self._engine.add_request(
                arguments["request_id"], arguments["prompt"], arguments["parameters"]
            )

    def call_workers(self, method: str) -> list[dict[str, Any]]:
        return list(self._engine.collective_rpc(method))

    def close(self) -> None:
        self._engine.engine_core.shutdown()


class Async(Loop):
    """vLLM as it is deployed: its engine in a process of its own, this one waits on it."""

    def __init__(self, vllm_config: Any) -> None:
        super().__init__()
        import uvloop  # type: ignore[import-not-found]  # as vLLM's own server does

        self._events = uvloop.new_event_loop()
        self._engine = self._events.run_until_complete(self._start(vllm_config))

    async def _start(self, vllm_config: Any) -> Any:
        from vllm.v1.engine.async_llm import AsyncLLM

        return AsyncLLM.from_vllm_config(vllm_config, disable_log_stats=True)

    def run(self, take: Take, slots: int, on_tokens: OnTokens) -> None:
        self._events.run_until_complete(self._feed_all(take, slots, on_tokens))

    async def _feed_all(self, take: Take, slots: int, on_tokens: OnTokens) -> None:
        slot_tasks = [asyncio.create_task(self._feed(take, on_tokens)) for _ in range(slots)]
        try:
            await asyncio.gather(*slot_tasks)
        finally:
            for task in slot_tasks:
                task.cancel()
            await asyncio.gather(*slot_tasks, return_exceptions=True)

    async def _feed(self, take: Take, on_tokens: OnTokens) -> None:
        """One slot: the next request as soon as the last one is complete."""
        while request := take():
            await self._generate(request, on_tokens)

    async def _generate(self, request: Request, on_tokens: OnTokens) -> None:
        arguments = self._arguments(request)
        async for output in self._engine.generate(
            arguments["prompt"], arguments["parameters"], arguments["request_id"]
        ):
            _hand_over(output, request, on_tokens)

    def serve(self, load: OpenLoad) -> None:
        self._events.run_until_complete(
            serve_tasks(load, lambda request: self._generate(request, load.on_tokens))
        )

    def call_workers(self, method: str) -> list[dict[str, Any]]:
        return list(self._events.run_until_complete(self._engine.collective_rpc(method)))

    def close(self) -> None:
        self._engine.shutdown(timeout=SHUTDOWN_S)
        self._events.close()


LOOPS: Mapping[str, type[InProcess | Async]] = {"in_process": InProcess, "async": Async}


class Probe:
    """Mixed by vLLM into its worker class; reads facts that only a worker knows."""

    model_runner: Any

    def observe_worker(self) -> dict[str, Any]:
        """Return a worker's device, threads and attention kernels, as values that can be sent."""
        import torch

        groups = [group for groups in self.model_runner.attn_groups for group in groups]
        # Layers that keep no keys and values keep lists of other things.
        caches = [cache for cache in self.model_runner.kv_caches if hasattr(cache, "dtype")]
        formats = {str(cache.dtype).removeprefix("torch.") for cache in caches}
        device = self.model_runner.device
        return {
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            "threads": torch.get_num_threads(),
            "kv_cache_tensors": ", ".join(sorted(formats)),
            "attention_backend": ", ".join(sorted({g.backend.get_name() for g in groups})),
        }


def _hand_over(output: Any, request: Request, on_tokens: OnTokens) -> None:
    """Give tokens to the harness; refuse a prompt that was not computed as a whole."""
    if ids := output.outputs[0].token_ids:
        on_tokens(request, list(ids))
    if output.finished and output.num_cached_tokens:
        raise EngineError(
            f"vLLM took {output.num_cached_tokens} of {len(request.prompt)} prompt tokens from a "
            "cache"
        )
