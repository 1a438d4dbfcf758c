"""The published names of TensorRT-LLM that an adapter may use; see README.md beside the package."""

from tensorrt_llm.llm import LLM
from tensorrt_llm.sampling import SamplingParams

__version__ = "1.2.1"
__all__ = ["LLM", "SamplingParams", "__version__"]
