# ruff: noqa: ARG002 - the signatures are the published ones
"""The LLM class of the PyTorch flow, with the published signatures."""

import json
import sys
from pathlib import Path
from typing import Any, ClassVar, Literal

from tensorrt_llm.arguments import TorchLlmArgs
from tensorrt_llm.executor import Executor, Running
from tensorrt_llm.result import RequestOutput
from tensorrt_llm.sampling import SamplingParams


class LLM:
    made: ClassVar[list["LLM"]] = []
    """For tests: all of this process."""

    def __init__(
        self,
        model: str | Path,
        tokenizer: Any = None,
        tokenizer_mode: Literal["auto", "slow"] = "auto",
        skip_tokenizer_init: bool = False,
        trust_remote_code: bool = False,
        tensor_parallel_size: int = 1,
        dtype: str = "auto",
        revision: str | None = None,
        tokenizer_revision: str | None = None,
        **kwargs: Any,
    ) -> None:
        for key in kwargs:
            if key not in TorchLlmArgs.model_fields:
                raise ValueError(f"LLM got invalid argument: {key}")
        self.args = TorchLlmArgs(
            model=model,
            tokenizer=tokenizer,
            tokenizer_mode=tokenizer_mode,
            skip_tokenizer_init=skip_tokenizer_init,
            trust_remote_code=trust_remote_code,
            tensor_parallel_size=tensor_parallel_size,
            dtype=dtype,
            revision=revision,
            tokenizer_revision=tokenizer_revision,
            **kwargs,
        )
        facts = json.loads((Path(model) / "config.json").read_text())
        memory = facts.get("stand_in_memory_tokens")
        if memory is not None and (self.args.max_seq_len or 0) > memory:
            words = (
                "Executor creation failed due to insufficient GPU memory.\n\n"
                "The following component could not be created: KV cache"
            )
            if facts.get("stand_in_dies"):  # as a worker process that can only print
                print(words, file=sys.stderr, flush=True)
                raise RuntimeError("Executor worker died during initialization")
            raise RuntimeError("Executor worker returned error") from RuntimeError(words)
        self.submitted: list[tuple[list[int], SamplingParams, bool]] = []
        """For tests: prompts, sampling and whether to stream, in the order in which they came."""
        self._executor: Executor | None = Executor(self.args, memory)
        self.made.append(self)

    def generate_async(
        self,
        inputs: Any,
        sampling_params: SamplingParams | None = None,
        lora_request: Any = None,
        prompt_adapter_request: Any = None,
        streaming: bool = False,
        kv_cache_retention_config: Any = None,
        disaggregated_params: Any = None,
        _postproc_params: Any = None,
        scheduling_params: Any = None,
        cache_salt: str | None = None,
    ) -> RequestOutput:
        if self._executor is None:
            raise RuntimeError("LLM is shutting down")
        if not isinstance(inputs, list):
            raise TypeError(f"The inputs must be type str or list of int, but got {type(inputs)}")
        limit = self.args.max_num_tokens
        if not self.args.enable_chunked_prefill and limit and len(inputs) > limit:
            raise ValueError(
                f"The sum of prompt length ({len(inputs)}), query length (0) should not exceed "
                f"max_num_tokens ({limit})"
            )
        sampling = sampling_params or SamplingParams()
        self.submitted.append((inputs, sampling, streaming))
        answer = RequestOutput(len(self.submitted), inputs)
        self._executor.submit(Running(answer, sampling, streaming))
        return answer

    def shutdown(self) -> None:
        if self._executor is not None:
            self._executor.shutdown()
            self._executor = None
