"""What only vLLM's workers know, asked inside them; vLLM mixes this class into its worker."""

from typing import Any


class Probe:
    """Its method is called by name in each worker, wherever it lives."""

    model_runner: Any

    def observe_worker(self) -> dict[str, Any]:
        """One worker's device, threads and attention kernels; plain values, they are sent."""
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
