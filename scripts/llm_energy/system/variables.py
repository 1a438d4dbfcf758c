"""Environment variables of the user: those that engines as processes get, and those on record.

Snakemake sets some of them in its jobs, such as `OMP_NUM_THREADS`. An engine must not depend on who
starts it, so a run keeps the user's own, and every engine of it gets those.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

NOT_PASSED_ON = ("HF_", "LLM_ENERGY_", "PIP_", "REDFISH_")
"""Beginnings of variables that no backend gets: secrets of registries and controllers, our own."""

DECISIVE = (
    # Threads, and libraries of linear algebra
    *("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "GOTO_", "BLIS_", "VECLIB_", "NUMEXPR_"),
    *("RAYON_", "ONEDNN_", "DNNL_", "OPENVINO_", "OV_"),
    # GPUs, and what computes on them
    *("CUDA_", "CUBLAS_", "CUDNN_", "NVIDIA_", "NCCL_", "TORCH", "PYTORCH_", "TRITON_"),
    *("FLASHINFER_", "HIP_", "HSA_", "ROCM_", "ROCR_", "RCCL_", "MIOPEN_"),
    *("GPU_DEVICE_", "GPU_MAX_"),
    # Engines
    *("GGML_", "LLAMA_", "VLLM_", "SGLANG_", "SGL_", "TRTLLM_", "TLLM_", "OLLAMA_"),
    *("TRANSFORMERS_", "TOKENIZERS_"),
    # The loader, the allocator and the interpreter
    *("LD_", "GLIBC_TUNABLES", "MALLOC_", "TCMALLOC_"),
    *("PYTHONHASHSEED", "PYTHONMALLOC", "PYTHONOPTIMIZE", "PYTHON_"),
)
"""Beginnings of variables that may change what an engine does."""

_SECRET_PARTS = ("PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "CREDENTIAL", "APIKEY")
_SECRET_WORDS = {"TOKEN", "KEY"}

_USER_OF_URL = re.compile(r"//[^/@\s]+@")


def is_secret(name: str) -> bool:
    """Return whether a variable of this name may hold a secret."""
    upper = name.upper()
    parts = any(part in upper for part in _SECRET_PARTS)
    return parts or bool(_SECRET_WORDS & set(upper.split("_")))


def passed_on(environment: Mapping[str, str], *, secrets: Collection[str] = ()) -> dict[str, str]:
    """Return what an engine may have of an environment.

    Args:
        secrets: variables that it gets though they may be secrets.
    """
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(NOT_PASSED_ON) and (name in secrets or not is_secret(name))
    }


def decisive(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what an engine may have of an environment that may change what it does."""
    found = passed_on(environment).items()
    return {name: value for name, value in sorted(found) if name.startswith(DECISIVE)}


def with_decisive(environment: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with these decisive variables, and no others of its own but secrets,
    which are never among them."""
    others = {
        name: value
        for name, value in environment.items()
        if is_secret(name) or not name.startswith(DECISIVE)
    }
    return others | dict(variables)


def shown(variables: Mapping[str, str]) -> dict[str, str]:
    """Return variables for a record: `~` for the user's folder, no user of a URL."""
    home = str(Path("~").expanduser())
    folder = re.compile(rf"{re.escape(home)}(?=[/:]|$)") if home.strip("/") else None
    found = {}
    for name, value in variables.items():
        text = _USER_OF_URL.sub("//", value)
        found[name] = folder.sub("~", text) if folder else text
    return found
