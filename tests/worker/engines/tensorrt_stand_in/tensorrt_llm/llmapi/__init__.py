"""Where the original publishes its configurations."""

from tensorrt_llm.arguments import CudaGraphConfig, KvCacheConfig
from tensorrt_llm.llm import LLM
from tensorrt_llm.result import CompletionOutput, RequestOutput
from tensorrt_llm.sampling import SamplingParams

__all__ = [
    "LLM",
    "CompletionOutput",
    "CudaGraphConfig",
    "KvCacheConfig",
    "RequestOutput",
    "SamplingParams",
]
