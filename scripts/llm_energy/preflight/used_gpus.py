"""The GPUs of this machine that a campaign may use; others may be used by other campaigns."""

from collections.abc import Collection, Iterable, Sequence

from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.server_settings import Attach
from llm_energy.preflight.gpu_sets import in_sets
from llm_energy.preflight.gpus import Gpu


def used_gpus(campaign: Campaign, backends: Iterable[str], gpus: Sequence[Gpu]) -> list[Gpu]:
    """Return the GPUs that a campaign may use with these backends, of all that the driver shows."""
    if campaign.parallel:
        return in_sets(campaign.parallel, gpus)
    return open_to([_named(campaign, backend) for backend in backends], gpus)


def open_to(named: Iterable[Collection[str] | None], gpus: Sequence[Gpu]) -> list[Gpu]:
    """Return the GPUs that backends may use.

    Args:
        named: for each backend the GPUs that it gets, by UUID; None where it may use any.
    """
    every = list(named)
    return [gpu for gpu in gpus if any(each is None or gpu.uuid in each for each in every)]


def _named(campaign: Campaign, backend: str) -> list[str] | None:
    config = campaign.backends[backend]
    gpus = config.server.gpus if isinstance(config.server, Attach) else config.container.gpus
    return gpus if isinstance(gpus, list) else None
