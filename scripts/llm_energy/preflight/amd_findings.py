"""Name what a campaign asks of AMD GPUs that this workflow does for NVIDIA's only."""

from collections.abc import Iterator

from llm_energy.campaign.campaign import Campaign
from llm_energy.preflight.findings import Finding
from llm_energy.preflight.gpu_control_findings import SUBJECT, sets_gpus


def no_container(backend: str) -> str:
    """Refuse a backend in a container on AMD GPUs."""
    return f"backends.{backend}: no container gets AMD GPUs; use `runtime: process`"


def amd_findings(campaign: Campaign) -> Iterator[Finding]:
    """Yield a problem for each thing that a campaign asks and AMD GPUs do not get."""
    for name, config in campaign.used_backends.items():
        if config.in_container:
            yield Finding("problem", f"gpus of {name}", no_container(name))
    if sets_gpus(campaign):
        message = "gpu: limits and clocks of AMD GPUs are not set; remove the settings `gpu.*`"
        yield Finding("problem", SUBJECT, message)
