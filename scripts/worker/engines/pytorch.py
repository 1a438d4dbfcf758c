"""Hugging Face Transformers on PyTorch: static batches through `generate`; reads HF folders."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from worker.engines._quantizers import QUANTIZERS, quantization_method, quantizing_arguments
from worker.engines._torch import TorchEngine
from worker.engines.base import OnTokens, Option, Request, check_context
from worker.workload import EngineConfig, Sampling

ATTENTION = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")


class PyTorch(TorchEngine):
    OPTIONS: ClassVar[Mapping[str, Option]] = {
        "device": Option(
            str, "auto", "auto takes the first GPU if there is one", choices=("auto", "cpu", "cuda")
        ),
        "threads": Option(int, 1, "CPU threads (intra-op)", minimum=1),
        "attn_implementation": Option(str, "sdpa", "attention kernels", choices=ATTENTION),
        "cache_implementation": Option(
            str, "dynamic", "how keys and values are kept", choices=("dynamic", "static")
        ),
        "use_cache": Option(bool, True, "false computes the whole sequence for each token"),
        "compile": Option(
            str,
            "off",
            "mode of torch.compile for the forward pass; it takes minutes, in the first wave",
            choices=("off", "default", "reduce-overhead", "max-autotune"),
        ),
        "quantization": Option(
            str,
            "auto",
            "how the weights are quantized while they are loaded; auto: as the model's files say",
            choices=("auto", *QUANTIZERS),
        ),
    }
    MODEL_FORMATS: ClassVar[tuple[str, ...]] = ("hf",)
    LOAD_MODES: ClassVar[frozenset[str]] = frozenset({"waves"})
    DTYPES: ClassVar[tuple[str, ...]] = ("auto", "float32", "bfloat16", "float16")

    def __init__(self) -> None:
        self._model: Any = None
        self._options: Mapping[str, Any] = {}

    def version(self) -> str:
        import torch
        import transformers

        return f"transformers {transformers.__version__}, torch {torch.__version__}"

    def load(self, config: EngineConfig) -> dict[str, Any]:
        self._options = options = config.options
        import torch
        from transformers import AutoModelForCausalLM, GenerationConfig

        torch.set_num_threads(options["threads"])
        torch.manual_seed(config.seed)
        device = options["device"]
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        model = AutoModelForCausalLM.from_pretrained(
            config.model_path,
            dtype=config.dtype if config.dtype == "auto" else getattr(torch, config.dtype),
            attn_implementation=options["attn_implementation"],
            local_files_only=True,
            **quantizing_arguments(options["quantization"], device),
        )
        if model.device.type != device:  # a quantized model is there, and cannot be moved
            model = model.to(device)
        self._model = model.eval()
        check_context(_setting(model.config, "max_position_embeddings"), config)
        # The folder's own generation settings (penalties, sampling) would fill what we leave open.
        model.generation_config = GenerationConfig(
            eos_token_id=_setting(model.config, "eos_token_id"),
            # Any padding will do, since it is masked.
            pad_token_id=_setting(model.config, "pad_token_id") or 0,
        )
        if options["compile"] != "off":
            # Lengths grow with each token, unless the cache has its full length from the start.
            growing = options["cache_implementation"] == "dynamic" or not options["use_cache"]
            dynamic = True if growing else None
            model.forward = torch.compile(model.forward, mode=options["compile"], dynamic=dynamic)
        return self._observe()

    def wave(self, requests: Sequence[Request], on_tokens: OnTokens) -> None:
        import torch

        tokens = requests[0].output_tokens
        sampling = requests[0].sampling
        ids, mask = self._left_padded([request.prompt for request in requests])
        torch.manual_seed(sampling.seed)
        generated = self._model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            use_cache=self._options["use_cache"],
            # Without a cache there is nothing to be implemented.
            cache_implementation=self._options["cache_implementation"]
            if self._options["use_cache"]
            else None,
            disable_compile=True,  # by its own choice; the option `compile` decides here
            streamer=_streamer(requests, on_tokens) if self.each_token else None,
            **_sampling_arguments(sampling),
        )
        if not self.each_token:
            for request, sequence in zip(requests, generated.tolist(), strict=True):
                on_tokens(request, sequence[-tokens:])

    def _left_padded(self, prompts: Sequence[Sequence[int]]) -> tuple[Any, Any]:
        """Return token ids and attention mask, [batch, longest prompt], on the model's device."""
        import torch

        longest = max(map(len, prompts))
        padding = self._model.generation_config.pad_token_id
        ids = [[padding] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
        mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        device = self._model.device
        return torch.tensor(ids, device=device), torch.tensor(mask, device=device)

    def _observe(self) -> dict[str, Any]:
        import torch

        model = self._model
        device = model.device.type
        quantization = getattr(model.config, "quantization_config", None)
        # Quantized weights show the size that they would have otherwise.
        weights = [] if quantization else list(model.parameters())
        return {
            "device": torch.cuda.get_device_name() if device == "cuda" else device,
            "dtype": str(model.dtype).removeprefix("torch."),
            "quantization": quantization_method(quantization),
            "attn_implementation": model.config._attn_implementation,
            "cache_implementation": self._options["cache_implementation"]
            if self._options["use_cache"]
            else None,
            "compiled": hasattr(model.forward, "_torchdynamo_orig_callable"),
            "threads": torch.get_num_threads(),
            "parameters": sum(weights.numel() for weights in model.parameters()),
            "weight_bytes": sum(weight.nbytes for weight in weights) or None,
            "context_tokens": _setting(model.config, "max_position_embeddings"),
            "cuda": torch.version.cuda,
        }


def _setting(config: Any, name: str) -> Any:
    """Return a setting of the language model; None where its architecture has none.

    A multimodal model has it in the configuration of its text part, and recurrent models have no
    longest context.
    """
    return getattr(config.get_text_config(decoder=True), name, None)


def _sampling_arguments(sampling: Sampling) -> dict[str, Any]:
    if sampling.temperature == 0.0:
        return {"do_sample": False}
    return {
        "do_sample": True,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
    }


def _streamer(requests: Sequence[Request], on_tokens: OnTokens) -> Any:
    """Return a streamer for whole batches: Transformers' own take a single sequence only."""
    from transformers.generation.streamers import BaseStreamer

    class Streamer(BaseStreamer):  # type: ignore[misc]
        prompts_seen = False

        def put(self, value: Any) -> None:
            if not self.prompts_seen:  # the first call brings the prompts
                self.prompts_seen = True
                return
            for request, token in zip(requests, value.tolist(), strict=True):
                on_tokens(request, [token])

        def end(self) -> None:
            pass

    return Streamer()


ENGINE = PyTorch
