"""The Compose file of a campaign: its backends in containers, for the user's own tools."""

from contextlib import closing
from pathlib import Path

import yaml

from llm_energy.backends.compose_service import service
from llm_energy.backends.container import container_options
from llm_energy.backends.runtime import BackendError, read_environment
from llm_energy.campaign.campaign import Campaign
from llm_energy.containers.engine import (
    DockerError,
    EngineKind,
    check_sources,
    connect,
    docker_errors,
    kind_of,
)
from llm_energy.inputs.declared_backends import declare_backend
from llm_energy.preflight.amd_findings import no_container
from llm_energy.preflight.gpus import are_amd, ask_gpus
from llm_energy.results.layout import COMPOSE_FILE
from llm_energy.system.files import write_atomically
from llm_energy.system.scripting import UserError

HEAD = """\
# The backends of the campaign `{campaign}`, as a run of it starts them. Made by the target
# `compose` for this folder of this machine, and replaced by it: docs/containers.md.
#
#   docker compose -f {path} up -d
"""


def write_compose(campaign: Campaign, results: Path) -> Path:
    """Write the Compose file of a campaign whose images are ready; return its path.

    Raises:
        UserError: it has no backend in a container, its containers would not be those of a run, or
            the engine does not answer.
    """
    names = [name for name, config in campaign.used_backends.items() if config.in_container]
    if not names:
        message = "no backend has `runtime: docker`, so there is nothing to write"
        raise UserError(f"campaign `{campaign.name}`: {message}")
    if campaign.parallel is not None:
        message = "`parallel` gives each set of GPUs containers of its own, which only a run has"
        raise UserError(f"campaign `{campaign.name}`: {message}; leave it out")
    if campaign.measurement.on_gpu and are_amd(ask_gpus()):
        raise UserError(f"campaign `{campaign.name}`: {no_container(names[0])}")
    try:
        with closing(connect()) as client, docker_errors():
            kind = kind_of(client)
        services = {name: _service(campaign, name, kind) for name in names}
    except (DockerError, BackendError) as error:
        raise UserError(str(error)) from error
    # A project has no dots in its name.
    project = f"llm-energy-{campaign.name}".replace(".", "-")
    path = results / COMPOSE_FILE
    content = yaml.safe_dump({"name": project, "services": services}, sort_keys=False, width=1000)
    head = HEAD.format(campaign=campaign.name, path=path)
    write_atomically(path, f"{head}{content}".encode())
    return path


def _service(campaign: Campaign, backend: str, kind: EngineKind) -> dict[str, object]:
    declared = declare_backend(campaign, backend, campaign.experiments)
    environment = read_environment(declared.environment_id)
    assert environment.image is not None
    options = container_options(declared, environment.python, campaign=campaign.name, kind=kind)
    check_sources(options["mounts"])
    name = declared.attached or f"llm-energy-{campaign.name}-{backend}"
    return service(environment.image, options, name=name)
