"""Trees to work in: one measured once for the whole session, and copies of it for each test."""

import pytest

from tests.integration.docker import require_docker
from tests.integration.workflow import CAMPAIGN, Tree, in_containers


@pytest.fixture(scope="session")
def measured_template(tmp_path_factory):
    """A tree whose campaign was measured to its end: never changed, only copied."""
    tree = Tree.create(tmp_path_factory.mktemp("template") / "tree")
    done = tree.run()
    assert done.returncode == 0, done.stdout
    assert len(tree.results()) == 4
    return tree


@pytest.fixture(scope="session")
def measured_in_containers(tmp_path_factory):
    """The same campaign, measured in a container."""
    require_docker()
    tree = Tree.create(tmp_path_factory.mktemp("contained") / "tree", in_containers(CAMPAIGN))
    done = tree.run()
    assert done.returncode == 0, done.stdout
    return tree


@pytest.fixture
def measured(measured_template, tmp_path):
    """A copy of the measured tree with all its time stamps, caches and metadata."""
    return measured_template.copy(tmp_path / "tree")


@pytest.fixture
def fresh(tmp_path):
    """A tree in which nothing has been measured."""
    return Tree.create(tmp_path / "tree")
