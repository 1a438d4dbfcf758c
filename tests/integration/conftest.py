"""Trees to work in: made once for the whole session, whoever of its workers needs them first, and
copies of them for each test."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.integration.docker import require_docker
from tests.integration.podman import podman_service
from tests.integration.workflow import CAMPAIGN, Tree, in_containers
from tests.once import once


def made(
    factory: pytest.TempPathFactory, name: str, *arguments: str, campaign: dict[str, Any] = CAMPAIGN
) -> Tree:
    """A tree in which the command ran once, in whichever worker came first."""

    def make() -> Tree:
        tree = Tree.create(factory.mktemp(name) / "tree", campaign)
        tree.printed = tree.run(*arguments, check=True).stdout
        return tree

    return once(factory, name, make)


@pytest.fixture(scope="session")
def ready_template(tmp_path_factory):
    """A tree whose environment, model and prompts are made: never changed, only copied."""
    return made(tmp_path_factory, "ready", "inputs")


@pytest.fixture(scope="session")
def measured_template(tmp_path_factory):
    """A tree whose campaign was measured to its end: never changed, only copied."""
    tree = made(tmp_path_factory, "measured")
    assert len(tree.results()) == 4
    return tree


@pytest.fixture(scope="session")
def ready_in_containers(tmp_path_factory):
    """A tree whose image is built: never changed, only copied."""
    require_docker()
    campaign = in_containers(CAMPAIGN)
    tree = made(tmp_path_factory, "ready-in-containers", "inputs", campaign=campaign)
    # Each copy finds its own model: of the host a container sees nothing but the copy.
    shutil.rmtree(tree.folder / ".cache/models", ignore_errors=True)
    return tree


@pytest.fixture(scope="session")
def measured_in_containers(tmp_path_factory):
    """The same campaign, measured in a container."""
    require_docker()
    return made(tmp_path_factory, "measured-in-containers", campaign=in_containers(CAMPAIGN))


@pytest.fixture(scope="session")
def podman():
    """Address of Podman's service: each worker has its own, with its own images."""
    with podman_service() as address:
        yield address


@pytest.fixture(scope="session")
def ready_in_podman(podman, tmp_path_factory):
    """A tree whose image is built by Podman: never changed, only copied."""
    folder = tmp_path_factory.mktemp("ready-in-podman") / "tree"
    tree = Tree.create(folder, in_containers(CAMPAIGN))
    tree.run("inputs", check=True, environment={"DOCKER_HOST": podman})
    shutil.rmtree(folder / ".cache/models", ignore_errors=True)  # as above
    return tree


@pytest.fixture(scope="session")
def measured_in_podman(podman, ready_in_podman, tmp_path_factory):
    """The same campaign, measured in a container of Podman."""
    tree = ready_in_podman.copy(tmp_path_factory.mktemp("measured-in-podman") / "tree")
    tree.run(check=True, environment={"DOCKER_HOST": podman})
    return tree


@pytest.fixture
def measured(measured_template, tmp_path):
    """A copy of the measured tree with all its time stamps, caches and metadata."""
    return measured_template.copy(tmp_path / "tree")


@pytest.fixture
def ready(ready_template, tmp_path):
    """A tree in which nothing has been measured, but all is ready for it."""
    return ready_template.copy(tmp_path / "tree")


@pytest.fixture
def fresh(tmp_path):
    """A tree as after a clone."""
    return Tree.create(tmp_path / "tree")


LONGEST = ("lifetime", "energy", "measured_controls", "containers", "slurm", "acceptance")
"""Modules that wait most: begun first, so that no worker ends long after the others."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest modules, in whichever order all others are."""
    paths = [Path(__file__).with_name(f"test_{name}.py") for name in LONGEST]
    items.sort(key=lambda item: paths.index(item.path) if item.path in paths else len(paths))
