"""Backends as a campaign declares them, with the models that their engines read."""

from collections.abc import Iterable

from llm_energy.backends.runtime import ContainerSettings, DeclaredBackend
from llm_energy.campaign.backend_settings import BackendConfig
from llm_energy.campaign.campaign import Campaign
from llm_energy.campaign.declared_inputs import PathSource
from llm_energy.campaign.experiment import Experiment
from llm_energy.campaign.server_settings import Attach
from llm_energy.inputs.models import local_files
from llm_energy.system.cache import CACHE
from llm_energy.system.vocabulary import ATTACHED


def declare_backend(
    campaign: Campaign, backend: str, experiments: Iterable[Experiment]
) -> DeclaredBackend:
    """Return how a backend is started for those of `experiments` that use it."""
    config = campaign.backends[backend]
    own = [e for e in experiments if e.settings.backend == backend]
    container = config.container.model_dump()
    if isinstance(container["gpus"], list):
        container["gpus"] = tuple(container["gpus"])
    server = own[0].server
    if isinstance(server, Attach):
        container["gpus"] = tuple(server.gpus or ())
    elif campaign.measurement.on_gpu and container["gpus"] is None:
        container["gpus"] = "all"
    models = (CACHE / "models").absolute()
    models.mkdir(parents=True, exist_ok=True)  # a container can mount only what is there
    local = {
        str(file)
        for source in (e.model.config for e in own)
        if isinstance(source, PathSource)
        for file in local_files(source)
    }
    return DeclaredBackend(
        name=backend,
        runtime=config.runtime if config.attached is None else ATTACHED,
        environment_id=own[0].environment.id,
        container=ContainerSettings(**container),
        readable=(str(models), *sorted(local)),
        attached=config.attached,
        secrets=tuple(secret_variables(config)),
    )


def secret_variables(config: BackendConfig) -> dict[str, str]:
    """Return the variables with secrets that a backend needs, each with the key that names it."""
    found = dict.fromkeys(config.pass_variables, "pass_variables")
    if isinstance(config.server, Attach) and config.server.token_variable:
        found[config.server.token_variable] = "server.token_variable"
    return found
