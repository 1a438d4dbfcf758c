"""Containers of others come and go while those of a run are looked for."""

import pytest
from docker.errors import NotFound
from docker.models.containers import ContainerCollection

from llm_energy.backends import running
from llm_energy.backends.docker_runtime import DockerRuntime


@pytest.mark.parametrize("look", [lambda _: DockerRuntime().reap(), DockerRuntime().sweep])
def test_a_container_that_goes_while_all_are_listed_stops_nobody(run, monkeypatch, look):
    """It is listed, and gone when the engine is queried about it."""
    running.ensure_backend(run, "bare")
    queried = []

    def gone(_, container_id):
        queried.append(container_id)
        raise NotFound("No such container")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(ContainerCollection, "get", gone)
        look(run)
    assert queried
